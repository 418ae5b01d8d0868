"""Why a leg or call ended: ITU-T Q.850 causes by the names in events."""

from collections.abc import Mapping

#: Q.850 cause value to name.
Q850: Mapping[int, str] = {
    1: "unallocated_number",
    2: "no_route_to_network",
    3: "no_route_to_destination",
    16: "normal_clearing",
    17: "user_busy",
    18: "no_user_responding",
    19: "no_answer",
    20: "subscriber_absent",
    21: "call_rejected",
    22: "number_changed",
    25: "exchange_routing_error",
    27: "destination_out_of_order",
    28: "invalid_number_format",
    31: "normal_unspecified",
    34: "no_circuit_available",
    38: "network_out_of_order",
    41: "temporary_failure",
    42: "switching_equipment_congestion",
    47: "resource_unavailable",
    55: "incoming_calls_barred",
    57: "bearer_capability_not_authorized",
    58: "bearer_capability_not_available",
    63: "service_unavailable",
    65: "bearer_capability_not_implemented",
    79: "service_not_implemented",
    88: "incompatible_destination",
    102: "recovery_on_timer_expiry",
    111: "protocol_error",
    127: "interworking",
}
Q850_BY_NAME: Mapping[str, int] = {name: value for value, name in Q850.items()}
