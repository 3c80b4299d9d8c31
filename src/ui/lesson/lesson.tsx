/** The lesson panel: a welcome with labs, or the lab in work with its live checks, questions and hints. */
import { PanelLeft } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { describeCheck, type Lab, type LabStep } from '../../labs/format.ts';
import { call } from '../bridge/client.ts';
import { OutcomeMark } from '../parts/marks.tsx';
import { partsCss, Runnable } from '../parts/parts.tsx';
import { act, openFresh } from '../session/session.ts';
import { progressOf, set, setProgress, useStore } from '../store.ts';
import frame from '../frame/frame.module.css';
import { labOf, labs, showStep, startLab } from './labs.ts';
import css from './lesson.module.css';
import { Markdown } from './markdown.tsx';
import { asked, typeAll } from './solution.ts';

export default function Lesson({ folded }: { folded: boolean }) {
  const id = useStore((s) => s.lab);
  const lab = labOf(id);
  const title = lab ? `Lab ${lab.section}`.trim() : 'Welcome';
  if (folded) {
    return <div className={frame.rail}><button type="button" className={partsCss.icon} aria-label="Unfold the lesson" onClick={() => set({ lessonFolded: false })}><PanelLeft size={16} aria-hidden="true" /></button><span>{title}</span></div>;
  }
  return (
    <>
      <div className={frame.head}>
        <h2>{title}</h2><span className={frame.sub}>{lab?.title}</span>
        <span className={frame.end}><button type="button" className={partsCss.icon} aria-label="Fold the lesson" onClick={() => set({ lessonFolded: true })}><PanelLeft size={16} aria-hidden="true" /></button></span>
      </div>
      {lab ? <Work lab={lab} key={lab.id} /> : <Welcome />}
    </>
  );
}

const FIRST: [string, string][] = [
  ['virsh start tiny', 'A virtual machine: real x86-64 code under VT-x.'],
  ['docker run --name hog -m 64m busybox tail /dev/zero', 'A container that wants more memory than it may have.'],
  ['kubectl get nodes -o wide', 'A cluster of three nodes.'],
];
function Welcome() {
  const progress = useStore((s) => s.progress);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
    <section className={css.scroll} tabIndex={0} aria-label="Welcome">
      <p className={css.text}>Below is the terminal of a machine that runs in this tab: virtual machines, containers and a cluster, down to their bits.</p>
      <h3 className={css.ask}>Try one of these first</h3>
      {FIRST.map(([line, what]) => <div key={line}><small>{what}</small><Runnable line={line} /></div>)}
      <h3 className={css.ask} style={{ marginTop: 12 }}>Labs</h3>
      <ul className={css.list}>
        {labs().map((lab) => {
          const done = progress[lab.id]?.done.length ?? 0;
          return <li key={lab.id}><button type="button" onClick={() => void startLab(lab.id)}><b>{lab.title}</b><small>{lab.minutes} min</small><small>{lab.section} {lab.track}</small><small>{done === lab.steps.length ? <><OutcomeMark outcome="ok" size={11} /> done</> : done > 0 ? `${done} of ${lab.steps.length}` : ''}</small></button></li>;
        })}
      </ul>
    </section>
  );
}

interface Verdict { ok: boolean; seen: string }
function Work({ lab }: { lab: Lab }) {
  const state = useStore((s) => s.progress[lab.id]) ?? progressOf(lab.id);
  const at = Math.min(state.step, lab.steps.length - 1);
  const step = lab.steps[at]!;
  const verdicts = useChecks(lab, step);
  const done = state.done.includes(step.id);
  const answer = state.answers[step.id];
  const go = (to: number): void => { setProgress(lab.id, { step: to }); showStep(lab, to); };
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <section className={css.scroll} tabIndex={0} aria-label="Step">
        <div className={css.meta}><span>Step {at + 1} of {lab.steps.length}</span><span>{lab.minutes} min in all</span></div>
        <nav className={css.steps} aria-label="Steps">{lab.steps.map((one, i) => <button key={one.id} type="button" aria-label={`Step ${i + 1}${state.done.includes(one.id) ? ', done' : ''}`} aria-current={i === at ? 'step' : undefined} className={i === at ? css.here : state.done.includes(one.id) ? css.done : ''} onClick={() => go(i)}><i /></button>)}</nav>
        <h3 className={css.title}>{at === 0 ? lab.title : heading(step)}</h3>
        {at === 0 && lab.intro ? <Markdown text={lab.intro} /> : null}
        <Markdown text={step.text} />
        <p className={css.goal}>{step.goal}</p>
        {step.predict ? <Question lab={lab} step={step} answer={answer} done={done || step.check.length === 0} /> : null}
        <div aria-live="polite">
          {step.check.map((check, i) => {
            const verdict = verdicts[i];
            return (
              // biome-ignore lint/suspicious/noArrayIndexKey: checks have no other name
              <div key={i} className={css.check}>
                {verdict?.ok ? <OutcomeMark outcome="ok" /> : <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true"><circle cx="7" cy="7" r="6" fill="none" stroke="var(--line-strong)" strokeWidth="1.5" /></svg>}
                <span>{describeCheck(check)}<span className="sr">{verdict?.ok ? ': true' : ': not yet'}</span></span>
                <span className={css.seen}>{verdict?.seen ?? '…'}</span>
              </div>
            );
          })}
        </div>
        <Hints lab={lab} step={step} shown={state.hints[step.id] ?? 0} />
        {done && at === lab.steps.length - 1 && lab.steps.every((one) => state.done.includes(one.id)) ? <p className={css.goal}><OutcomeMark outcome="ok" /> The lab is done.</p> : null}
      </section>
      <div className={css.foot}>
        <button type="button" className={partsCss.button} onClick={() => (at === 0 ? set({ lab: null }) : go(at - 1))}>{at === 0 ? 'All labs' : 'Previous'}</button>
        <Hint lab={lab} step={step} shown={state.hints[step.id] ?? 0} />
        {at === lab.steps.length - 1
          ? <button type="button" className={`${partsCss.button} ${done ? partsCss.primary : ''}`} onClick={() => set({ lab: null })}>All labs</button>
          : <button type="button" className={`${partsCss.button} ${done ? partsCss.primary : ''}`} onClick={() => go(at + 1)}>Next step</button>}
      </div>
      <Again lab={lab} />
    </>
  );
}
const heading = (step: LabStep): string => `${step.id.charAt(0).toUpperCase()}${step.id.slice(1).replaceAll('-', ' ')}`;

function Again({ lab }: { lab: Lab }) {
  const world = useStore((s) => s.scenario);
  if (world === lab.scenario) return null;
  return <div className={css.foot}><small>This session is not the lab’s scenario ({lab.scenario}).</small><button type="button" className={partsCss.button} onClick={() => void openFresh(lab.scenario, lab.seed)}>Open it</button></div>;
}

/** Asks the checks while time passes: at most twice a second. */
function useChecks(lab: Lab, step: LabStep): Verdict[] {
  const [verdicts, setVerdicts] = useState<Verdict[]>([]);
  const busy = useRef(false);
  useEffect(() => {
    setVerdicts([]);
    let gone = false;
    let last = -1;
    const ask = async (): Promise<void> => {
      const { t, ready, seeking } = useStore.getState();
      if (busy.current || !ready || seeking !== null || t === last) return;
      last = t;
      const answered = step.predict === undefined || progressOf(lab.id).answers[step.id] !== undefined;
      if (step.check.length === 0) {
        if (answered) finish(lab, step);
        return;
      }
      busy.current = true;
      try {
        const answers = await call('check', { checks: step.check });
        if (!gone) {
          setVerdicts(answers);
          if (answered && answers.every((one) => one.ok)) finish(lab, step);
        }
      } catch { /* no world yet; asked again */ }
      busy.current = false;
    };
    const timer = setInterval(() => void ask(), 500);
    void ask();
    return () => { gone = true; busy.current = false; clearInterval(timer); };
  }, [lab, step]);
  return verdicts;
}
function finish(lab: Lab, step: LabStep): void {
  const { done } = progressOf(lab.id);
  if (!done.includes(step.id)) setProgress(lab.id, { done: [...done, step.id] });
}

function Question({ lab, step, answer, done }: { lab: Lab; step: LabStep; answer: string | undefined; done: boolean }) {
  const { ask, choices, answer: right } = step.predict!;
  const settled = answer !== undefined && done;
  return (
    <fieldset className={css.choices}>
      <legend className={css.ask}>{step.check.length > 0 ? 'Before you run it: ' : ''}{ask}</legend>
      {choices.map((choice) => (
        <label key={choice}>
          <input type="radio" name={`${lab.id}-${step.id}`} checked={answer === choice} disabled={settled && step.check.length > 0} onChange={() => {
            setProgress(lab.id, { answers: { ...progressOf(lab.id).answers, [step.id]: choice } });
            void act({ do: 'answer', lab: lab.id, step: step.id, answer: choice });
          }} />
          <span>{choice}</span>
          {settled && (choice === right || choice === answer) ? <span className={css.verdict}>{choice === right ? <><OutcomeMark outcome="ok" />right</> : <><OutcomeMark outcome="warn" />not so</>}</span> : null}
        </label>
      ))}
    </fieldset>
  );
}

/** Shown hints, the fitting one first: the first whose condition holds now. */
function Hints({ lab, step, shown }: { lab: Lab; step: LabStep; shown: number }) {
  const [first, setFirst] = useState<number | null>(null);
  useEffect(() => {
    if (shown === 0) return setFirst(null);
    const conditional = step.hints.map((hint, i) => ({ hint, i })).filter(({ hint }) => hint.when);
    void call('check', { checks: conditional.map(({ hint }) => hint.when!) }).then((answers) => setFirst(conditional[answers.findIndex((one) => one.ok)]?.i ?? null), () => null);
  }, [shown, step]);
  const order = [...step.hints.keys()].filter((i) => i === first || !step.hints[i]!.when);
  if (first !== null) order.sort((a, b) => (a === first ? -1 : b === first ? 1 : a - b));
  const ladder = order.slice(0, shown);
  return (
    <>
      {ladder.map((i, n) => <div key={i} className={css.hint}><header><span>Hint {n + 1} of {order.length}</span><span>{i === first ? 'fits what you did' : ''}</span></header><Markdown text={step.hints[i]!.say} /></div>)}
      {shown > order.length && step.solution.length > 0 ? (
        <div className={css.solution}>
          <div className={css.ask}>One way to do it</div>
          {step.solution.map((line, i) => {
            const todo = asked(line);
            // biome-ignore lint/suspicious/noArrayIndexKey: lines may repeat
            return todo === null ? <Runnable key={i} line={line} /> : todo === '' ? null : <p key={i} className={css.press}>{todo}</p>;
          })}
          {step.solution.length > 1 ? <button type="button" className={partsCss.button} style={{ marginTop: 6 }} onClick={() => void typeAll(step.solution)}>Type all</button> : null}
        </div>
      ) : null}
      <span hidden>{lab.id}</span>
    </>
  );
}
function Hint({ lab, step, shown }: { lab: Lab; step: LabStep; shown: number }) {
  const plain = step.hints.length;
  const more = step.solution.length > 0 ? plain + 1 : plain;
  if (shown >= more) return null;
  return (
    <button type="button" className={partsCss.button} onClick={() => {
      setProgress(lab.id, { hints: { ...progressOf(lab.id).hints, [step.id]: shown + 1 } });
      void act({ do: 'hint', lab: lab.id, step: step.id, index: shown });
    }}>{shown >= plain ? 'Show a solution' : shown > 0 ? 'Next hint' : 'Hint'}</button>
  );
}
