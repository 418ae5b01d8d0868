"""Of every test: an example of hypothesis may take its time, because the machine may be busy with others."""

from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
