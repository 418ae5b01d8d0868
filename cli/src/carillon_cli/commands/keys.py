"""`carillon keys`: keys of systems that call the API."""

import argparse
import asyncio
import json

from carillon.directory.v1 import auth_pb2, auth_pb2_grpc
from carillon_cli.render.tables import message_json, table
from carillon_cli.system import RPC_SECONDS, System, ask, load, pages, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon keys`."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--create", metavar="NAME", help="make a key for a system and show its secret once")
    what.add_argument("--revoke", metavar="ID", help="end a key")
    parser.add_argument("--department", default="", metavar="ID", help="with --create: the key of an admin of this department")
    parser.add_argument("--rights-profile", default="", metavar="ID", help="with --create: narrow what the key may do")
    parser.add_argument("--operator", action="store_true", help="keys above the tenants")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """List, create or revoke."""
    system = load(options.data)
    tenant = None if options.operator else system.tenant(options.tenant)
    lines = asyncio.run(done(system, tenant, options))
    if lines:
        print("\n".join(lines))
    return 0


async def done(system: System, tenant: str | None, options: argparse.Namespace) -> list[str]:
    """What to print."""
    async with system.channel("directory", tenant) as directory:
        access = auth_pb2_grpc.AccessServiceStub(directory)
        if options.create is not None:
            role = "operator" if not tenant else "department_admin" if options.department else "admin"
            within = {"department_id": options.department, "rights_profile_id": options.rights_profile}
            asked = auth_pb2.CreateApiKeyRequest(display_name=options.create, role=role, **within)
            made = await ask(access.CreateApiKey(asked, timeout=RPC_SECONDS), "directory")
            return [
                f"key     {made.api_key.id}",
                f"secret  {made.secret}   (shown only now; AuthService.ExchangeApiKey gives tokens for it)",
            ]
        if options.revoke is not None:
            await ask(access.RevokeApiKey(auth_pb2.RevokeApiKeyRequest(id=options.revoke), timeout=RPC_SECONDS), "directory")
            return [f"{options.revoke} is revoked"]
        request = auth_pb2.ListApiKeysRequest(page_size=1000)
        keys = [key async for page in pages(access.ListApiKeys, request, "directory") for key in page.api_keys]
        return [json.dumps(message_json(key)) for key in keys] if options.json else keys_table(keys)


def keys_table(keys: list[auth_pb2.ApiKey]) -> list[str]:
    """A line a key; nothing when there is none."""
    rows = [
        (
            key.id,
            key.display_name,
            f"{key.role}{f' of {key.department_id}' if key.department_id else ''}",
            key.rights_profile_id or "-",
            key.created_by,
            key.expires_at.ToJsonString() if key.HasField("expires_at") else "never",
            key.last_used_at.ToJsonString() if key.HasField("last_used_at") else "never",
        )
        for key in keys
    ]
    return table(("key", "for", "role", "rights", "made by", "ends", "used"), rows) if rows else []
