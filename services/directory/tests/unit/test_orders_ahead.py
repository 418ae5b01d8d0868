"""Orders that are made beside the loop."""

from threading import Event

from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.orders import Orders
from carillon_directory.orders_ahead import OrdersAhead


class Slow(Orders):
    """Notes what it makes and waits before it does."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = Event(), Event()
        self.missed_ones = 0
        self.made: list[tuple[str, int]] = []
        self.done = Event()

    def make_usual(self, config: TenantConfig) -> None:
        self.begun.set()
        assert self.go.wait(30)
        self.made.append((config.tenant_id, config.seq))
        if config.tenant_id == "bad":
            raise ValueError("cannot be sorted")
        if config.tenant_id == "last":
            self.done.set()

    def make_missed(self) -> None:
        self.missed_ones += 1


def test_one_configuration_of_a_tenant_waits_the_newest_and_what_fails_stops_nothing() -> None:
    orders = Slow()
    ahead = OrdersAhead(orders)
    ahead.usual(TenantConfig("first", 1))
    assert orders.begun.wait(30)
    for seq in (2, 3, 9, 4):
        ahead.usual(TenantConfig("acme", seq))
        ahead.missed()
    for name in ("bad", "last"):
        ahead.usual(TenantConfig(name, 1))
    orders.go.set()
    assert orders.done.wait(30)
    assert orders.made == [("first", 1), ("acme", 9), ("bad", 1), ("last", 1)]
    assert orders.missed_ones == 1
    ahead.close()


def test_what_waits_at_the_end_is_not_made() -> None:
    orders = Slow()
    ahead = OrdersAhead(orders)
    ahead.usual(TenantConfig("first", 1))
    assert orders.begun.wait(30)
    ahead.usual(TenantConfig("acme", 2))
    ahead.close()
    ahead.usual(TenantConfig("late", 2))
    orders.go.set()
    ahead._thread.shutdown(wait=True)
    assert orders.made == [("first", 1)]
