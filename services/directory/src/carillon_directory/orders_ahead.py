"""Orders of lists, made beside the loop before somebody asks for them.

Always: however many changes come, at most one configuration of a tenant waits, the newest; what fails is told and costs speed alone.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock

from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.orders import Orders
from carillon_kit.logs import get_logger

_log = get_logger("orders")
#: Stands for what lists missed, among ids of tenants.
_MISSED = ""


class OrdersAhead:
    """See the module."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._thread = ThreadPoolExecutor(1, "orders")
        self._lock = Lock()
        self._waiting: dict[str, TenantConfig | None] = {}

    def usual(self, config: TenantConfig) -> None:
        """What people ask for most of a configuration."""
        with self._lock:
            waits = config.tenant_id in self._waiting
            waiting = self._waiting.get(config.tenant_id)
            if waiting is None or waiting.seq < config.seq:
                self._waiting[config.tenant_id] = config
        if not waits:
            self._submit(config.tenant_id)

    def missed(self) -> None:
        """What a list missed last."""
        with self._lock:
            waits = _MISSED in self._waiting
            self._waiting[_MISSED] = None
        if not waits:
            self._submit(_MISSED)

    def close(self) -> None:
        """Whatever waits is not made."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _submit(self, name: str) -> None:
        with suppress(RuntimeError):  # A process that ends does without.
            self._thread.submit(self._next, name)

    def _next(self, name: str) -> None:
        with self._lock:
            config = self._waiting.pop(name)
        if config is None:
            _told(self._orders.make_missed)
        else:
            _told(lambda: self._orders.make_usual(config))


def _told(make: Callable[[], None]) -> None:
    try:
        make()
    except Exception as error:  # noqa: BLE001  (a thread's edge: lists sort for themselves)
        _log.error("an order was not made", error=f"{type(error).__name__}: {error}")
