"""The audit team: its roles, their tools, their shared state, and the plan that joins them."""

from remit import Plan, Team, rollback, step, undo, when
from remit.teams.audit.memory import FILES, FINDINGS, INVENTORY, SECTIONS
from remit.teams.audit.mending import CHECKPOINT
from remit.teams.audit.roles.analyst_code import AnalystCode
from remit.teams.audit.roles.analyst_docs import AnalystDocs
from remit.teams.audit.roles.analyst_history import AnalystHistory
from remit.teams.audit.roles.analyst_security import AnalystSecurity
from remit.teams.audit.roles.analyst_supply import AnalystSupply
from remit.teams.audit.roles.cartographer import Cartographer
from remit.teams.audit.roles.critic import Critic
from remit.teams.audit.roles.editor import Editor
from remit.teams.audit.roles.fixer import Fixer
from remit.teams.audit.roles.planner import Planner
from remit.teams.audit.roles.publisher import Publisher
from remit.teams.audit.roles.sweeper import Sweeper
from remit.teams.audit.roles.verifier import Verifier
from remit.teams.audit.tools.branch import git_branch_commit
from remit.teams.audit.tools.excerpt import fs_excerpt
from remit.teams.audit.tools.files import fs_list, fs_read
from remit.teams.audit.tools.git_apply_check import proc_git_apply_check
from remit.teams.audit.tools.git_blame import git_blame
from remit.teams.audit.tools.git_log import git_log
from remit.teams.audit.tools.head import git_head
from remit.teams.audit.tools.last_audit import fs_baseline
from remit.teams.audit.tools.model import model_complete
from remit.teams.audit.tools.own_tests import proc_tests
from remit.teams.audit.tools.publication import fs_publish
from remit.teams.audit.tools.rewrite import fs_rewrite
from remit.teams.audit.tools.ruff import proc_ruff
from remit.teams.audit.tools.ruff_fix import proc_ruff_fix
from remit.teams.audit.tools.scanner import py_ast, py_look_again
from remit.teams.audit.tools.scratch import fs_scratch_read, fs_scratch_remove, fs_scratch_write

ANALYSES = ("code", "security", "history", "supply", "docs")
audit = Plan(
    step("inventory", Cartographer, checkpoint="cp1"),
    step("code", AnalystCode, after="inventory", each="shards"),
    step("security", AnalystSecurity, after="inventory", each="shards"),
    step("history", AnalystHistory, after="inventory", each="history"),
    step("supply", AnalystSupply, after="inventory", each="supply"),
    step("docs", AnalystDocs, after="inventory", each="docs"),
    step("critique", Critic, after=("inventory", *ANALYSES), checkpoint=CHECKPOINT),
    step("plan", Planner, after=("task", "inventory", "critique")),
    step("fix", Fixer, after="plan", each="files", undo=undo(Sweeper, when("undo.left", "eq", 0))),
    step("verify", Verifier, after=("task", "plan", "fix")),
    step("report", Editor, after=("inventory", "critique", "verify"), fresh="warn", checkpoint="cp4"),
    # Not `require_fresh`: what was published is not taken back by failing afterwards. The run says so instead.
    step("publish", Publisher, after="report", fresh="warn"),
    window=4,  # a scan is a process: two for each of two cores
    rollbacks=[rollback(CHECKPOINT, when=when("verify.failed", "gt", 0))],
)

team = Team(
    "audit",
    roles=[
        Cartographer,
        AnalystCode,
        AnalystSecurity,
        AnalystHistory,
        AnalystSupply,
        AnalystDocs,
        Critic,
        Planner,
        Fixer,
        Verifier,
        Sweeper,
        Editor,
        Publisher,
    ],
    tools=[
        fs_list,
        fs_read,
        fs_excerpt,
        fs_rewrite,
        fs_scratch_read,
        fs_scratch_write,
        fs_scratch_remove,
        fs_baseline,
        fs_publish,
        proc_ruff,
        proc_ruff_fix,
        proc_git_apply_check,
        proc_tests,
        git_blame,
        git_branch_commit,
        git_head,
        git_log,
        py_ast,
        py_look_again,
        model_complete,
    ],
    state=[INVENTORY, FILES, FINDINGS, SECTIONS],
    workflows={"audit": audit},
)
