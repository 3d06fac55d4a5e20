"""The audit team: six roles, their tools, their shared state, and the plan that joins them."""

from remit import Plan, Team, state, step
from remit.teams.audit.analyst_code import AnalystCode
from remit.teams.audit.analyst_security import AnalystSecurity
from remit.teams.audit.cartographer import Cartographer
from remit.teams.audit.critic import Critic
from remit.teams.audit.editor import Editor
from remit.teams.audit.files import fs_list, fs_read
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
    step("report", Editor, after=("inventory", "critique")),
    step("publish", Publisher, after="report"),
    window=4,  # a scan is a process: two for each of two cores
)

team = Team(
    "audit",
    roles=[Cartographer, AnalystCode, AnalystSecurity, Critic, Editor, Publisher],
    tools=[fs_list, fs_read, fs_scratch_read, fs_scratch_write, fs_publish, proc_ruff, py_ast, py_look_again],
    state=[
        state("inventory", "write_once"),
        state("file-risk.", "max"),
        state("file-reason.", "union", by="skill"),
        state("finding.", "union", by="skill"),
        state("report.", "reject"),
    ],
    workflows={"audit": audit},
)
