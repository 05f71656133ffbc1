"""Where the processes of one run meet: on this machine alone, and out of everybody else's reach."""

import atexit
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

import torch.distributed
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy

_MEETING = "LITEVISION_MEETING"  # the folder, in the environment of the processes that the first one starts


class LocalDDP(DDPStrategy):
    """Data parallelism whose processes, where Lightning starts them, meet in a file of a folder that is theirs alone.

    By default the first process listens on every interface of the machine, and does as anyone who connects tells it.
    Processes that something else started, like torchrun, meet as that arranged it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if _MEETING not in os.environ and "LOCAL_RANK" not in os.environ:
            os.environ[_MEETING] = tempfile.mkdtemp(prefix="litevision-")  # which nobody else may enter
            atexit.register(shutil.rmtree, os.environ[_MEETING], ignore_errors=True)

    def setup_environment(self) -> None:
        """Joins the other processes."""
        environment, folder = self.cluster_environment, os.environ.get(_MEETING)
        if folder and isinstance(environment, LightningEnvironment) and not torch.distributed.is_initialized():
            cuda = self.root_device.type == "cuda"
            for library in ("GLOO", "NCCL"):
                os.environ.setdefault(f"{library}_SOCKET_IFNAME", _loopback())
            # Lightning leaves a group that is there as it is.
            torch.distributed.init_process_group(
                "nccl" if cuda else "gloo",
                init_method=(Path(folder) / "store").as_uri(),
                rank=environment.local_rank(),
                world_size=self.num_processes,
            )
            if cuda:
                atexit.register(torch.distributed.destroy_process_group)
        super().setup_environment()


def _loopback() -> str:
    return next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
