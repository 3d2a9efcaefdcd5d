"""What an ingestor would refuse about its sources, refused before anything is started."""

from common.settings import Settings, SettingsError
from ingestor.run.identity import read_identities
from ingestor.sources import known_sources


def check_source_settings(settings: Settings) -> None:
    """Raise SettingsError where SOURCES names one that there is not, or the file of IDENTITY_PATH cannot be used."""
    known = known_sources()
    for name in settings.sources:
        if name not in known:
            raise SettingsError(
                f"SOURCES must be some of {', '.join(sorted(known))}; {name!r} is none of them"
            )
    read_identities(settings.identity_path)
