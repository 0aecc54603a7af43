from django.apps import AppConfig


class FhirBridgeConfig(AppConfig):
    name = "fhir_bridge"

    def ready(self) -> None:
        """Let every version that is written mark what the partners should get, in the same transaction."""
        from fhir_bridge.outbound import mark
        from records import reactions

        reactions.register(mark)
