"""The audit team: six roles, their tools, their shared state, and the plan that joins them."""

from remit import Plan, Team, step
from remit.teams.audit.analyst_code import AnalystCode
from remit.teams.audit.analyst_security import AnalystSecurity
from remit.teams.audit.cartographer import Cartographer
from remit.teams.audit.critic import Critic
from remit.teams.audit.editor import Editor
from remit.teams.audit.files import fs_list, fs_read
from remit.teams.audit.memory import FILES, FINDINGS, INVENTORY, SECTIONS
from remit.teams.audit.publication import fs_publish
from remit.teams.audit.publisher import Publisher
from remit.teams.audit.ruff import proc_ruff
from remit.teams.audit.scanner import py_ast, py_look_again
from remit.teams.audit.scratch import fs_scratch_read, fs_scratch_write

audit = Plan(
    step("inventory", Cartographer),
    step("code", AnalystCode, after="inventory", each="shards"),
    step("security", AnalystSecurity, after="inventory", each="shards"),
    step("critique", Critic, after=("inventory", "code", "security")),
    step("report", Editor, after=("inventory", "critique"), fresh="warn"),
    # Not `require_fresh`: what was published is not taken back by failing afterwards. The run says so instead.
    step("publish", Publisher, after="report", fresh="warn"),
    window=4,  # a scan is a process: two for each of two cores
)

team = Team(
    "audit",
    roles=[Cartographer, AnalystCode, AnalystSecurity, Critic, Editor, Publisher],
    tools=[fs_list, fs_read, fs_scratch_read, fs_scratch_write, fs_publish, proc_ruff, py_ast, py_look_again],
    state=[INVENTORY, FILES, FINDINGS, SECTIONS],
    workflows={"audit": audit},
)
