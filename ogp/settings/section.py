"""What every section of config.yaml is made of."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Network = IPv4Network | IPv6Network
YEAR_S = 31_536_000
Positive = Annotated[float, Field(gt=0, le=YEAR_S, allow_inf_nan=False)]
MAX_WAITING = 16_384
"""Each place in a queue is a thread of the process."""
AtLeastOne = Annotated[int, Field(ge=1)]


def split_list(value: Any) -> Any:
    """Accept a YAML list or a comma string; other values are left for the type to refuse."""
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return value


def parse_networks(value: Any) -> Any:
    """Addresses and CIDR ranges, IPv4 and IPv6; host bits may be set (`10.0.0.1/8`)."""
    items = split_list(value)
    if not isinstance(items, list | tuple):
        return items
    return tuple(ip_network(str(item), strict=False) for item in items)


Networks = Annotated[tuple[Network, ...], BeforeValidator(parse_networks)]
Words = Annotated[tuple[str, ...], BeforeValidator(split_list)]


class Section(BaseModel):
    """Frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
