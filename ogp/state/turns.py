"""The order in which waiting tickets come up: first in, first out for a user, users in turn."""

from collections import OrderedDict

from ogp.core.ports import SlotTicket


class Turns:
    """One model's line. Not thread-safe; the table that owns it holds a lock.

    Round robin over the users who wait: a ticket with k - 1 others of its user before it is passed
    by at most k tickets of any other user. Everything is O(1); `OrderedDict`, because a plain
    dict searches over the gaps of its removed heads.
    """

    def __init__(self) -> None:
        self._users: OrderedDict[str, OrderedDict[SlotTicket, None]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        """How many tickets wait."""
        return self._length

    def add(self, ticket: SlotTicket) -> None:
        """Put the ticket behind the others of its user, and a new user behind the others."""
        self._users.setdefault(ticket.user, OrderedDict())[ticket] = None
        self._length += 1

    def take(self) -> SlotTicket:
        """Remove the ticket whose turn it is; its user goes to the end.

        Raises:
            KeyError: nobody waits.
        """
        user, tickets = self._users.popitem(last=False)
        ticket, _ = tickets.popitem(last=False)
        self._length -= 1
        if tickets:
            self._users[user] = tickets
        return ticket

    def discard(self, ticket: SlotTicket) -> None:
        """Remove the ticket wherever it stands; nothing happens if it does not wait here."""
        tickets = self._users.get(ticket.user)
        if tickets is None or ticket not in tickets:
            return
        del tickets[ticket]
        self._length -= 1
        if not tickets:
            del self._users[ticket.user]
