"""The operations on months of usage records. They are a part of the one table in `operations`."""

from typing import Any

from joytoken.admin.months import MonthList, MonthsDrop, MonthsDropped, MonthsQuery, drop_months, list_months
from joytoken.admin.operation import Operation

USAGE_MONTHS: Operation[MonthsQuery, MonthList] = Operation(
    "usage.months", "Months of usage records, oldest first", "GET", "/usage/months", MonthsQuery, MonthList, list_months
)
USAGE_DROP: Operation[MonthsDrop, MonthsDropped] = Operation(
    "usage.drop",
    "Drop the usage records of old months; their sums stay",
    "POST",
    "/usage/drop",
    MonthsDrop,
    MonthsDropped,
    drop_months,
)

MONTH_OPERATIONS: tuple[Operation[Any, Any], ...] = (USAGE_MONTHS, USAGE_DROP)
