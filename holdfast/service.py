"""What the HTTP service is started with, by the settings of a session."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import BadInput
from holdfast.folder import Folder
from holdfast.house_rules import house_rules
from holdfast.session import Session

if TYPE_CHECKING:
    from serving.settings import DataFolder, ServiceSettings


def service_settings(session: Session, *, port: int | None = None) -> "ServiceSettings":
    """The settings of the service; `port` where it is another than the settings'.

    Raises `BadInput` for a setting outside its range and for a brand without a folder.
    """
    from serving.settings import ServiceSettings  # noqa: PLC0415 the server, only for who serves

    said = dataclasses.asdict(session.settings.serve)
    brands = said.pop("brands")
    if port is not None:
        said["port"] = port
    return ServiceSettings(
        store_url=session.store_url,
        jobs_folder=session.folder.jobs,
        folders=_folders(session, brands),
        rules=house_rules(session),
        **said,
    )


def _folders(session: Session, brands: tuple[str, ...]) -> "dict[str, DataFolder]":
    own = session.settings.store.tenant
    folders = {own: _data_folder(session.folder)}
    for text in brands:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise BadInput(f"[serve] brands: {text!r}; expected NAME=FOLDER, for example brand-b=/srv/brand-b.")
        if name in folders:
            raise BadInput(f"[serve] brands: {name!r} is named twice, or is the store's own tenant.")
        folders[name] = _data_folder(Folder(Path(folder)))
    return folders


def _data_folder(folder: Folder) -> "DataFolder":
    from serving.settings import DataFolder  # noqa: PLC0415 as above

    return DataFolder(champion=folder.champion, events=folder.events)
