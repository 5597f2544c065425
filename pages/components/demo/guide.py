"""The guided demo: a box on top of each page that says what to say and to look at, with the one button that goes on.

Whether a run is guided is kept in the run, so that a refresh or a second window is guided too.
"""

from datetime import UTC, datetime

import streamlit as st

from pages.components.demo.quiz_card import ask_now, asked_quiz, show_quiz, subject_titles
from pages.components.demo.texts import STEPS, Step
from pages.components.field_names import told
from pages.components.marked_text import escaped
from pages.components.navigation import (
    COMPARE,
    DEMO_PAGES,
    MODEL,
    NEURONS,
    PRUNE,
    RETRAIN,
    SUMMARY,
    Page,
    as_it_is,
    finished_stages,
    is_done,
    last_stage,
    use_own_model,
)
from pages.components.progress import run_and_redraw
from pages.components.prune.keep_cut import keep_shown, shown_instead
from pages.components.states import PRUNED
from pages.components.work import bring_up_to_date, go_on_in_background, last_progress, race_in_background
from unlearning_core.methods.registry import state_title, states_of
from unlearning_core.progress import ProgressCallback, duration
from unlearning_core.runs import background, proof
from unlearning_core.runs.proof import racers
from unlearning_core.runs.proof_evidence import RACE, race_outcome
from unlearning_core.runs.quiz import has_questions, quiz_of
from unlearning_core.runs.run import Run
from unlearning_core.runs.stage_times import Wait, wait_for_race, wait_until
from unlearning_core.runs.stages.registry import stages_of


def set_guided(run: Run, guided: bool = True) -> None:
    """From now on the run is guided, or is not."""
    run.write_note("guide", {"guided": True} if guided else None)


def is_guided(run: Run | None) -> bool:
    """Whether the run was begun by the demo and its guide was not left."""
    return run is not None and run.note("guide") is not None


def offers_to_keep(run: Run) -> bool:
    """Whether the box on Prune has a button that keeps the cut: the page then needs none of its own."""
    at_work = proof.is_running(run) or background.is_running(run)
    return is_guided(run) and not at_work and not _step_done(run, PRUNE)


def guide(run: Run | None, title: str) -> None:
    """The box, on a page of the demo and for a guided run."""
    if run is None or title not in STEPS or not is_guided(run):
        return
    number, step = list(STEPS).index(title), STEPS[title]
    page = DEMO_PAGES[number]
    with st.container(border=True):
        head, leave = st.columns([5, 1], vertical_alignment="center")
        head.markdown(f":material/explore: **Guided demo, step {number + 1} of {len(STEPS)}**")
        if leave.button("Leave", key="leave guide", type="tertiary", help="The run stays; only this box goes."):
            set_guided(run, False)
            st.rerun()
        st.markdown(f":material/record_voice_over: *“{step.say}”*")
        if _step_done(run, page):
            _show_done(run, page, step)
        elif page is not MODEL and (proof.is_running(run) or background.is_running(run)):
            _watch(run, page)
        else:
            st.markdown(_named(run, step.before))
            _offer_work(run, page, step)
        # What the page before has further down in its box would stand there, dimmed, until this page is done.
        for _ in range(3):
            st.empty()


def _step_done(run: Run, page: Page) -> bool:
    """Whether there is nothing left to do on the page but to look."""
    if page is MODEL:
        asked = quiz_of(run)
        return not has_questions(run) or (asked is not None and "base" in asked.marks)
    if page is SUMMARY:
        return race_outcome(run, _last_state(run)) is not None
    if page is PRUNE and is_done(run, page):
        return shown_instead(run) is None or background.is_running(run)
    return is_done(run, page)


def _last_state(run: Run) -> str:
    return states_of(run.config)[-1]


def _named(run: Run, text: str) -> str:
    """A text of the demo with the concept's name in it."""
    return text.format(concept=subject_titles(run)["concept"])


def _show_done(run: Run, page: Page, step: Step) -> None:
    """What there is to see, the quiz, a jump to the picture, and the way on."""
    if page is PRUNE and shown_instead(run) is not None:
        st.info("The cut that is kept was prepared in the background: the slider only shows what others would do.")
    st.markdown(step.after)
    _offer_next(run, page)
    if step.asks and has_questions(run):
        state = {MODEL: "base", PRUNE: PRUNED}.get(page, _last_state(run))
        quiz = asked_quiz(run, state)
        if quiz is not None:
            show_quiz(run, quiz, state)
    if step.picture is not None:
        title, anchor = step.picture
        st.markdown(f":material/arrow_downward: [{title}](#{anchor})")


def _offer_next(run: Run, page: Page) -> None:
    last = page is SUMMARY
    following = MODEL if last else DEMO_PAGES[DEMO_PAGES.index(page) + 1]
    label = "End the demo and use my own model" if last else f"Go on to {following.title}"
    if st.button(label, key="guide on", type="primary", icon=":material/arrow_forward:"):
        if last:
            set_guided(run, False)
            use_own_model()
        st.switch_page(following.file)


def _offer_work(run: Run, page: Page, step: Step) -> None:
    """How long the step takes, and the button that begins it."""
    status = run.status()
    if status["state"] == "failed":
        st.warning(told(status["message"]))
    other = shown_instead(run) if page is PRUNE and is_done(run, page) else None
    if other is not None:
        shown, kept = other
        if shown.ratio != kept.ratio:
            st.info(f"The slider shows {100 * shown.ratio:.3g} %; the cut that is kept is {100 * kept.ratio:.3g} %.")
        else:
            st.info("The cut on screen is another than the one that is kept.")
    st.caption(_how_long(run, page))
    button = _named(run, step.button)
    if not st.button(button, key="guide do", type="primary", icon=page.icon):
        return
    if page in (RETRAIN, COMPARE):  # a training goes on when the page is closed
        go_on_in_background(run)
        st.rerun()
    elif page is SUMMARY:
        race_in_background(run)
        st.rerun()
    run_and_redraw(button, lambda bar: _work(run, page, bar), only_one=run.id)


def _work(run: Run, page: Page, bar: ProgressCallback) -> None:
    if page is MODEL:
        ask_now(run, "base", bar)
    elif page is PRUNE:
        if is_done(run, NEURONS):
            keep_shown(run, bar)
        else:  # nothing is on screen yet: the settings say what is cut
            bring_up_to_date(run, str(page.stage), bar)
        if has_questions(run):
            ask_now(run, PRUNED, bar)
    else:
        bring_up_to_date(run, str(page.stage), bar)


def _how_long(run: Run, page: Page) -> str:
    """What a person is told before the wait, and what that is told from."""
    if page is MODEL:
        return "This takes seconds on a tiny model, and a few minutes on a larger one."
    wait = wait_for_race(run) if page is SUMMARY else wait_until(run, last_stage(run, page))
    if wait is None:
        return "How long this takes here is shown while it runs."
    told = "as it took here before" if wait.source == "here" else "as on two cores, at this machine's pace so far"
    return f"This takes about {duration(max(wait.seconds, 1.0))} ({told})."


@st.fragment(run_every=1.0)
def _watch(run: Run, page: Page) -> None:
    """How far the process in the background is, until it has done this page's work."""
    racing = proof.is_running(run)
    if not (racing or background.is_running(run)) or (page is not SUMMARY and page.stage in finished_stages(run)):
        st.rerun()
    if page is RETRAIN and run.status().get("stage") in ("filter", "retrain"):
        st.caption("It is at work below. You can close this page: it goes on.")
        return
    share, _ = last_progress(run)
    stage = str(run.status().get("stage") or "")
    if racing:
        _show_race(run, share, stage)
        return
    left = _left_until(run, last_stage(run, page))
    st.progress(share, text=f"Prepared in the background while you read: {escaped(_stage_title(run, stage))}{left}")


def _stage_title(run: Run, stage: str) -> str:
    return next((one.title for one in stages_of(run.config) if one.name == stage), "starting")


def _left_until(run: Run, until: str) -> str:
    """About how long until that stage is done, to follow what is being done; empty where nothing tells it."""
    wait = _wait(run, until)
    if wait is None:
        return ""
    begun = datetime.fromisoformat(run.status()["updated"])  # that of the stage: until its end nothing else is written
    left = wait.seconds - (datetime.now(UTC) - begun).total_seconds()
    return f"; this page's work is done in about {duration(left)}" if left >= 1 else ""


@st.cache_data(show_spinner=False, max_entries=32, hash_funcs={Run: as_it_is})
def _wait(run: Run, until: str) -> Wait | None:
    return wait_until(run, until)


def _show_race(run: Run, share: float, stage: str) -> None:
    """Which of the models is taught at the moment, how far all of it is, and a button that ends it."""
    stages = [f"{RACE} {state}" for state in racers(run)]
    bar, button = st.columns([5, 1], vertical_alignment="center")
    if stage in stages:
        place = stages.index(stage)
        title = state_title(racers(run)[place]).lower()
        text = f"teaching the concept again: the {title} model, {place + 1} of {len(stages)}"
        bar.progress((place + share) / len(stages), text=text)
    else:
        bar.progress(0.0, text="teaching the concept again: getting ready")
    button.button("Stop", icon=":material/stop_circle:", key="stop race", on_click=proof.stop, args=(run,))
