import pytest
from traitlets import TraitError
from traitlets.config import Config

from jupyter_turbopilot.settings.config import Turbopilot


def test_invalid_values_are_refused_with_those_of_the_product() -> None:
    Turbopilot(config=Config(TurbopilotUsageLog={"text": True})).validate_sections()
    with pytest.raises(TraitError):
        Turbopilot(config=Config(TurbopilotUsageLog={"text": "some"})).validate_sections()
