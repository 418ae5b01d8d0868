"""What callers hear in place of the ringing tone: the melody of the group, of the user who is rung, of the number that was called, or of
the tenant; the first that there is.

Always: a call that leads outside has none of ours, whoever makes it.
"""

from collections.abc import Iterator
from dataclasses import replace

from carillon_routing.domain.cursor import GroupWait, Wait
from carillon_routing.domain.facts import Ring, UserTarget
from carillon_routing.domain.walk import Walk


def with_melody(walk: Walk, ring: Ring, wait: Wait | None) -> Ring:
    """The ring step with its melody, if there is any."""
    if not walk.config.playlists or not any(isinstance(target, UserTarget) for target in ring.targets):
        return ring
    for subject, playlist_id in _named(walk, ring, wait):
        if playlist_id in walk.config.playlists:
            walk.note(f"{subject} ringback", True, f"playlist {playlist_id} is heard in place of the ringing tone")
            return replace(ring, ringback_music_id=playlist_id)
    return ring


def _named(walk: Walk, ring: Ring, wait: Wait | None) -> Iterator[tuple[str, str]]:
    config = walk.config
    if isinstance(wait, GroupWait):
        group = config.hunt_groups.get(wait.group_id) if wait.hunt else config.ring_groups.get(wait.group_id)
        if group is not None:
            yield f"{group.KIND}/{group.id}", group.ringback_music_id
    else:
        for target in ring.targets:
            if isinstance(target, UserTarget) and (user := config.users.get(target.user_id)) is not None:
                yield f"user/{user.id}", user.ringback_music_id
    if (number := config.numbers.get(walk.call.dialled)) is not None:
        yield f"number {number.id}", number.ringback_music_id
    yield "tenant", config.tenant.ringback_music_id
