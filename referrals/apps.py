from django.apps import AppConfig


class ReferralsConfig(AppConfig):
    name = "referrals"

    def ready(self) -> None:
        """What a person has matched or confirmed is done in the transaction of the confirmation."""
        from referrals import evidence, reactions
        from referrals.upheavals import death

        reactions.register(evidence.apply_matches)
        reactions.register(evidence.release)
        reactions.register(death.follow)
        reactions.register(evidence.apply_earlier)
