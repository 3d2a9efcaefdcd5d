"""Check the settings of sources before anything starts."""

from common.settings import Settings, SettingsError
from ingestor.run.identity import read_identities
from ingestor.sources import known_sources


def check_source_settings(settings: Settings) -> None:
    """Raise SettingsError if SOURCES has an unknown name or IDENTITY_PATH cannot be read."""
    known = known_sources()
    for name in settings.sources:
        if name not in known:
            raise SettingsError(
                f"SOURCES must be some of {', '.join(sorted(known))}; {name!r} is none of them"
            )
    read_identities(settings.identity_path)
