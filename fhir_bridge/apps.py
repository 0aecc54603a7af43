from django.apps import AppConfig


class FhirBridgeConfig(AppConfig):
    name = "fhir_bridge"

    def ready(self) -> None:
        """In the same transaction: every version that is written marks what the partners should get, and what a
        person decides about an exchange is done to it.
        """
        from fhir_bridge.inbound import inquiries, joining
        from fhir_bridge.operations import follow
        from fhir_bridge.outbound.pushing import mark
        from records import reactions as of_records
        from referrals import reactions as of_referrals

        of_records.register(mark)
        of_records.register(inquiries.follow)
        of_referrals.register(follow)
        of_referrals.register(joining.follow)
