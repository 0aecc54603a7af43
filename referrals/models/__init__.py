"""The rows of the loops: people, loops with their handoffs, the journal, and the policies."""

from referrals.models.adoption import Adoptable
from referrals.models.journal import Delivery, Escalation, Event, Mailbox
from referrals.models.loops import RANK, UNSENT, FollowUp, Handoff, Loop, Referral, TestOrder, Unsolicited, Upkeep
from referrals.models.people import Absence, Membership, Owner, Pool, PoolMember, User
from referrals.models.policies import Calendar, Policy
from referrals.models.upheavals import LastWord, Merge, PossibleDuplicate, SignOfLife

__all__ = [
    "RANK",
    "UNSENT",
    "Absence",
    "Adoptable",
    "Calendar",
    "Delivery",
    "Escalation",
    "Event",
    "FollowUp",
    "Handoff",
    "LastWord",
    "Loop",
    "Mailbox",
    "Membership",
    "Merge",
    "Owner",
    "Policy",
    "Pool",
    "PoolMember",
    "PossibleDuplicate",
    "Referral",
    "SignOfLife",
    "TestOrder",
    "Unsolicited",
    "Upkeep",
    "User",
]
