"""Persons who are erased: their boxes go with the messages in them; messages that they left for others stay, without their name."""

from typing import Any

import asyncpg

from carillon_contracts.erasure import ERASED_EMAIL, ORDERED, ErasureOrders, Order
from carillon_contracts.streams import ERASURES
from carillon_kit.bus import Bus, Consumer, ConsumerSpec
from carillon_kit.object_store import ObjectStore
from carillon_kit.orders import Counts, Orders, Wake
from carillon_kit.rewriting import Columns, forget_letters, patterns, rewrite_rows
from carillon_voicemail.adapters.greetings import drop_greetings
from carillon_voicemail.adapters.letters_kept import KeptLetters
from carillon_voicemail.adapters.pin_tries import tried_box
from carillon_voicemail.adapters.postgres_messages import delete_audio

CONSUMER = ConsumerSpec(stream=ERASURES.name, durable="voicemail-erasures", subject=ORDERED, ack_wait=120)
_THEIRS = "delete from message where tenant = $1 and mailbox_id = any($2::text[]) returning object"
#: By them, and at their boxes.
_TRIES = "delete from conference_tries where tenant = $1 and (caller ilike any($2::text[]) or room_id = any($3::text[]))"
#: Nobody is left to read them.
_UNSENT = "delete from letter_job where tenant = $1 and state in ('pending', 'sending') and body::text like '%' || $2::text || '%'"
_RESETS = (
    Columns("line_reset", texts=("mailbox_id",), in_key=True),
    Columns("mailbox_deletion", texts=("mailbox_id",), in_key=True),
)
_ROWS = {
    "messages": (Columns("message", texts=("caller_number", "caller_name")),),
    "letters": (
        Columns(
            "mail_job",
            texts=("mailbox_name", "last_error"),
            lists=("recipients",),
            scope="message_id in (select message_id from message where tenant = $1)",
        ),
        Columns("letter_job", texts=("last_error",), documents=("body",)),
    ),
    "conferences": (
        Columns("conference_attendance", texts=("display_name", "party", "number")),
        Columns("conference_summary", texts=("last_error",)),
        Columns("conference_invitation", texts=("room_name", "organizer"), lists=("emails",)),
    ),
}


async def carry_out(connection: Any, order: Order, objects: ObjectStore, letters: KeptLetters) -> Counts:
    """In the caller's transaction; the audio goes before it commits, so that nothing is left of it when it has."""
    addresses = [text for text, instead in order.data.texts.items() if instead == ERASED_EMAIL]
    # By the rows that go in the next step.
    copies = await letters.erase(connection, order.tenant, addresses)
    gone = [row["object"] for row in await connection.fetch(_THEIRS, order.tenant, list(order.data.mailbox_ids))]
    await delete_audio(connection, objects, gone)
    await drop_greetings(connection, objects, order.tenant, list(order.data.mailbox_ids))
    counts: Counts = {"messages_deleted": len(gone), "letter_copies_deleted": copies}
    boxes = [tried_box(each) for each in order.data.mailbox_ids]
    await connection.execute(_TRIES, order.tenant, patterns(order.cleaner.needles), boxes)
    for each in _RESETS:
        await rewrite_rows(connection, each, order.tenant, order.cleaner)
    for what, tables in _ROWS.items():
        counts[what] = sum([await rewrite_rows(connection, each, order.tenant, order.cleaner) for each in tables])
    counts["letters_deleted"] = int((await connection.execute(_UNSENT, order.tenant, ERASED_EMAIL)).split()[-1])
    counts["dead_letters_deleted"] = await forget_letters(connection, order.tenant, order.cleaner.needles)
    return counts


async def obey(pool: "asyncpg.Pool[Any]", bus: Bus, objects: ObjectStore, letters: KeptLetters, wake: Wake) -> Consumer:
    """Start the consumer."""
    terms = ErasureOrders("voicemail")

    async def carry(connection: Any, order: Order) -> Counts:
        return await carry_out(connection, order, objects, letters)

    return await Orders(pool, CONSUMER, terms, carry, wake).obey(bus, ERASURES)
