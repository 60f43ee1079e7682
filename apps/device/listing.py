"""`edge-effnet devices`: what can be reached from here, and what to do about the rest."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from apps.device.adb.client import AdbClient, PhoneState, read_state
from apps.device.adb.phones import Phone, list_phones
from apps.device.local import DEFAULT_CPU, find_emulator
from apps.device.remote import DeviceOptions
from edge_effnet.errors import InputError, MachineError


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One device, or one kind of them."""

    device: str
    """What `--device` takes."""
    what: str
    ready: bool = False
    """Whether `check` would find it now."""
    note: str = ""
    """What to do where it is not ready, or where its times would not be right."""
    state: PhoneState | None = None
    """Battery and heat of an Android phone that is ready."""


def list_devices(options: DeviceOptions) -> list[Listed]:
    """Look for every kind of device; nothing is started or changed on any of them."""
    board = "any board that `ssh USER@HOST` reaches with a key" if shutil.which("ssh") else "install an ssh client"
    iphone = "run the folder that `edge-effnet job` writes in the app of apps/ios and share its results"
    return [
        Listed(device="host", what="this machine's runtime", ready=True),
        _emulated(options),
        *_phones(),
        Listed(device="ssh:USER@HOST", what="a Linux board", note=board),
        Listed(device="ios:FILE", what="an iPhone's exported results", note=iphone),
    ]


def _emulated(options: DeviceOptions) -> Listed:
    device, what = f"arm64:{DEFAULT_CPU}", "an emulated ARM processor"
    try:
        find_emulator(options)
    except (InputError, MachineError) as error:
        return Listed(device=device, what=what, note=_advice(error))
    return Listed(device=device, what=what, ready=True)


def _phones() -> list[Listed]:
    note = "connect one by USB with USB debugging switched on"
    try:
        if phones := list_phones():
            return [_phone(phone) for phone in phones]
    except MachineError as error:
        note = _advice(error)
    return [Listed(device="adb", what="an Android phone", note=note)]


def _phone(phone: Phone) -> Listed:
    device = f"adb:{phone.serial}"
    if not phone.usable:
        return Listed(device=device, what=phone.model, note=phone.advice)
    try:
        state = read_state(AdbClient(phone))
    except MachineError as error:
        return Listed(device=device, what=phone.model, note=_advice(error))
    return Listed(device=device, what=phone.model, ready=True, note=" ".join(state.notes()), state=state)


def _advice(error: Exception) -> str:
    return str(error).removeprefix("--device arm64: ").rstrip(".")
