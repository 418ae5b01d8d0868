"""Nodes that tell or ask the outside: e-mail, web-hook, and the agent that a caller knows. A failure never holds the call up."""

from carillon_contracts.config import EmailNode, PlanNode, StickyAgentNode, StickySource, WebhookNode
from carillon_routing.domain import callers, users
from carillon_routing.domain.asks import Fetch, LastAgent, Mail
from carillon_routing.domain.facts import RingResult
from carillon_routing.domain.walk import Move, ToNode, Walk


def carry_out(walk: Walk, subject: str, node: PlanNode) -> Move | None:
    """What the node does; None: it is of another kind."""
    if node.email is not None:
        return _email(walk, subject, node.email)
    if node.webhook is not None:
        return _webhook(walk, subject, node.webhook)
    return _sticky_agent(walk, subject, node.sticky_agent) if node.sticky_agent is not None else None


def _onward(walk: Walk, following: str) -> Move:
    assert walk.sender is not None
    return ToNode(walk.sender[0], following)


def _email(walk: Walk, subject: str, node: EmailNode) -> Move:
    taken = walk.ask(Mail(node.recipients, walk.filled(node.subject)[:200], walk.filled(node.text)[:4000], walk.hops))
    following = node.next if taken is True else node.failed or node.next
    to = ", ".join(node.recipients)
    walk.note(subject, taken is True, f"an e-mail to {to} {'goes out' if taken is True else 'could not be taken'}", f"node {following}")
    return _onward(walk, following)


def _webhook(walk: Walk, subject: str, node: WebhookNode) -> Move:
    call = walk.call
    body = {
        "tenant_id": call.tenant_id,
        "call_id": call.call_id,
        "direction": call.direction,
        "caller_number": call.caller_number,
        "caller_name": call.caller_name,
        "caller_user_id": call.caller_user_id,
        "dialled": call.dialled,
        "language": walk.variable("language"),
        "node": subject,
        **{f"variables.{name}": value for name, value in sorted(walk.variables.items())},
    }
    answer = walk.ask(Fetch(node.url, node.timeout_ms, walk.hops, body))
    status, texts = _answer(answer)
    if not 200 <= status < 300:
        following = node.failed or node.next
        reason = f"{node.url} answered {status}" if status else f"{node.url} did not answer within {node.timeout_ms} ms"
        walk.note(subject, False, reason, f"node {following}")
        return _onward(walk, following)
    said = {name: texts[name] for name in node.variables if name in texts and walk.assign(name, texts[name])}
    told = "".join(f"; {name} is {value!r}" for name, value in said.items())
    walk.note(subject, True, f"{node.url} answered {status}{told}", f"node {node.next}")
    return _onward(walk, node.next)


def _answer(answer: object) -> tuple[int, dict[str, str]]:
    """Status (0: none) and the texts of the answer."""
    if not isinstance(answer, dict):
        return 0, {}
    status, body = answer.get("status"), answer.get("body")
    texts = {name: value for name, value in body.items() if isinstance(value, str)} if isinstance(body, dict) else {}
    return (status if isinstance(status, int) else 0), texts


def _sticky_agent(walk: Walk, subject: str, node: StickyAgentNode) -> Move:
    number = _with_area(walk, node)
    if not number.startswith("+"):
        walk.note(subject, False, f"{number or 'a withheld number'} is no outside number", f"node {node.next}")
        return _onward(walk, node.next)
    if node.except_caller_list_id:
        listed, reason = callers.on_list(walk.config, walk.call, node.except_caller_list_id)
        walk.note(f"{subject} caller_list/{node.except_caller_list_id}", listed, reason, f"node {node.next}" if listed else "")
        if listed:
            return _onward(walk, node.next)
    for source in node.sources:
        user_id, reason = _agent(walk, source, number)
        walk.note(f"{subject} {source.kind}", bool(user_id), reason, f"user/{user_id}" if user_id else "")
        if user_id:
            return users.ring_agent(walk, user_id, node)
    walk.note(subject, False, f"no source knows whom {number} belongs to", f"node {node.next}")
    return _onward(walk, node.next)


def _with_area(walk: Walk, node: StickyAgentNode) -> str:
    number = walk.call.caller_number
    if number and not number.startswith(("+", "0")) and number not in walk.config.extensions:
        number = node.area_code + number
    return callers.normalised(walk.config, number)


def _agent(walk: Walk, source: StickySource, number: str) -> tuple[str, str]:
    """User id, empty if this source knows none, and why."""
    match source.kind:
        case "history":
            found = walk.ask(LastAgent(number, source.days))
            user_id = found if isinstance(found, str) else ""
            reason = f"talked last with {number}" if user_id else f"nobody talked with {number} in {source.days} days"
            reason = reason if found is not None else "the history could not be read in time"
        case "contact_owner":
            user_id = callers.owner_of(walk.config, number)
            reason = f"owns the contact {number}" if user_id else f"nobody owns a contact {number}"
        case "http":
            separator = "&" if "?" in source.url else "?"
            status, texts = _answer(walk.ask(Fetch(f"{source.url}{separator}caller=%2B{number[1:]}", source.timeout_ms, walk.hops)))
            user_id = texts.get("user_id", "") if 200 <= status < 300 else ""
            reason = f"{source.url} answered {status or 'nothing in time'}{f' and names user/{user_id}' if user_id else ''}"
    if user_id and user_id not in walk.config.users:
        return "", f"user/{user_id} {reason}, but is no user any more"
    return user_id, reason


def agent_rang(walk: Walk, user_id: str, result: RingResult) -> Move:
    """The plan goes on when the agent could not be reached."""
    node = walk.node(walk.sender) if walk.sender is not None else None
    if node is None or node.sticky_agent is None:
        return walk.broken("sticky agent", "the node is gone")
    walk.note(f"user/{user_id}", False, f"the outcome was {result}; the plan goes on", f"node {node.sticky_agent.next}")
    return _onward(walk, node.sticky_agent.next)
