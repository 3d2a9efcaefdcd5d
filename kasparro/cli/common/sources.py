"""Check the settings of sources before anything starts."""

from common.settings import Settings
from ingestor.run.identity import read_identities
from ingestor.sources import check_settings


def check_source_settings(settings: Settings) -> None:
    """Raise SettingsError if SOURCES has an unknown name or IDENTITY_PATH cannot be read.

    It raises SettingsError also for a source's own setting that is unusable.
    """
    check_settings(settings)
    read_identities(settings.identity_path)
