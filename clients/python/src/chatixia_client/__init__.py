"""Talk to other agents directly, through a chatixia-sidecar: see `Sidecar`."""

from .binary import find_binary
from .blocking import BlockingSidecar
from .errors import (
    BinaryNotFound,
    ChatixiaError,
    CommandFailed,
    NotRunning,
    Overloaded,
    RequestTimeout,
    SidecarLost,
    StartFailed,
    TaskQueueError,
    Unsupported,
)
from .mesh_client import MeshClient, MeshMessage
from .message import BroadcastReceipt, Event, Message, Receipt
from .sidecar import Sidecar

__version__ = "0.1.0"

__all__ = [
    "BinaryNotFound",
    "BlockingSidecar",
    "BroadcastReceipt",
    "ChatixiaError",
    "CommandFailed",
    "Event",
    "MeshClient",
    "MeshMessage",
    "Message",
    "NotRunning",
    "Overloaded",
    "Receipt",
    "RequestTimeout",
    "Sidecar",
    "SidecarLost",
    "StartFailed",
    "TaskQueueError",
    "Unsupported",
    "find_binary",
]
