from django.apps import AppConfig


class ReferralsConfig(AppConfig):
    name = "referrals"

    def ready(self) -> None:
        """What a person has matched is applied in the transaction of the match."""
        from referrals import evidence, reactions

        reactions.register(evidence.apply_matches)
