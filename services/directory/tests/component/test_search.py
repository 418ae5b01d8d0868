"""Search through the gRPC door: own tenant only, and changes at once."""

from collections.abc import Callable

import grpc
import grpc.aio
import pytest

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1 import search_pb2
from carillon.directory.v1.audio_pb2_grpc import AudioServiceStub
from carillon.directory.v1.playlist_pb2_grpc import PlaylistServiceStub
from carillon.directory.v1.search_pb2_grpc import SearchServiceStub
from carillon.directory.v1.tenant_pb2_grpc import TenantServiceStub
from carillon.directory.v1.user_pb2_grpc import UserServiceStub


@pytest.mark.feature("D-21")
async def test_changes_are_found_at_once_and_only_in_the_own_tenant(port: int, client: Callable[..., grpc.aio.Channel]) -> None:
    tenants = TenantServiceStub(client(port))
    for name in ("find-a", "find-b"):
        await tenants.CreateTenant(pb.CreateTenantRequest(tenant=pb.Tenant(id=name, realm=f"{name}.example")))
        user = pb.User(id="elise", login="elise", last_name="Moreau", first_name="Élise")
        await UserServiceStub(client(port, "operator", name)).CreateUser(pb.CreateUserRequest(user=user))
    search = SearchServiceStub(client(port, "operator", "find-a"))
    (found,) = (await search.Search(pb.SearchRequest(query="elise mor"))).results
    assert (found.kind, found.id, found.display_name) == ("user", "elise", "Élise Moreau")
    changed = pb.User(id="elise", last_name="Lambert")
    await UserServiceStub(client(port, "operator", "find-a")).UpdateUser(pb.UpdateUserRequest(user=changed))
    assert [each.id for each in (await search.Search(pb.SearchRequest(query="lambert"))).results] == ["elise"]
    assert not (await search.Search(pb.SearchRequest(query="moreau"))).results
    other = SearchServiceStub(client(port, "operator", "find-b"))
    assert not (await other.Search(pb.SearchRequest(query="lambert"))).results
    for wrong in (pb.SearchRequest(query="x" * 201), pb.SearchRequest(query="x", kinds=["nothing"]), pb.SearchRequest(page_size=-1)):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await search.Search(wrong)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.feature("M-8")
async def test_each_file_shows_where_it_is_used_and_only_in_the_own_tenant(port: int, client: Callable[..., grpc.aio.Channel]) -> None:
    tenants = TenantServiceStub(client(port))
    for name in ("used-a", "used-b"):
        await tenants.CreateTenant(pb.CreateTenantRequest(tenant=pb.Tenant(id=name, realm=f"{name}.example")))
    link = client(port, "operator", "used-a")
    jazz = pb.Audio(
        id="jazz",
        purpose=pb.AUDIO_PURPOSE_MUSIC,
        object="sha256-" + "a" * 64,
        wide_object="sha256-" + "b" * 64,
        duration_ms=1000,
        rights_confirmed_by="olga",
        rights_confirmed_at="2026-03-02T10:00:00Z",
    )
    await AudioServiceStub(link).CreateAudio(pb.CreateAudioRequest(audio=jazz))
    tracks = [pb.PlaylistTrack(audio_id="jazz")] * 2
    await PlaylistServiceStub(link).CreatePlaylist(pb.CreatePlaylistRequest(playlist=pb.Playlist(id="hold", tracks=tracks)))
    user = pb.User(id="elise", login="elise", last_name="Moreau", hold_music_id="hold")
    await UserServiceStub(link).CreateUser(pb.CreateUserRequest(user=user))

    async def uses(kind: str, resource_id: str, tenant: str = "used-a") -> list[str]:
        search = SearchServiceStub(client(port, "operator", tenant))
        found = await search.ListUses(search_pb2.ListUsesRequest(kind=kind, id=resource_id))
        return [f"{each.kind}/{each.id} {each.field}" for each in found.uses]

    assert await uses("audio", "jazz") == ["playlist/hold tracks[0].audio_id", "playlist/hold tracks[1].audio_id"]
    assert await uses("playlist", "hold") == ["user/elise hold_music_id"]
    assert await uses("user", "elise") == []
    for wrong, code in (("nothing", grpc.StatusCode.INVALID_ARGUMENT), ("audio", grpc.StatusCode.NOT_FOUND)):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await uses(wrong, "jazz", "used-b")
        assert error.value.code() is code
