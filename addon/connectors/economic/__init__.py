"""e-conomic: an accounting system.

`client` speaks HTTP with its two hosts, `translate` turns its words into ours and back, `accounting` makes the steps,
`journal` enters and books payments and vouchers, `memory` keeps what was read, `install` knows the way in, `webhooks`
what e-conomic tells unasked.
"""

from addon.connectors.economic.accounting import CAPABILITIES, Choices, EconomicAccounting
from addon.connectors.economic.client import EconomicClient, NotThere
from addon.connectors.economic.install import EconomicAuthorisation, install_url, read_return
from addon.connectors.economic.memory import Memory
from addon.connectors.economic.webhooks import nudge_path, read_nudge, webhook_bodies

__all__ = [
    "CAPABILITIES",
    "Choices",
    "EconomicAccounting",
    "EconomicAuthorisation",
    "EconomicClient",
    "Memory",
    "NotThere",
    "install_url",
    "nudge_path",
    "read_nudge",
    "read_return",
    "webhook_bodies",
]
