/** `docker run` as the system calls that made the container, beside what somebody did by hand: by purpose, or in order. */
import { useState } from 'react';
import type { ContainerRow, RunCallRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { Empty, Runnable, Segments } from '../../parts/parts.tsx';
import { select, useStore } from '../../store.ts';
import { HOST } from './names.ts';
import css from './containers.module.css';

const PURPOSES = [
  ['namespaces', 'What it sees: new namespaces'], ['cgroup', 'What it may use: a control group'], ['mounts', 'Its file tree: layers, proc, devices'], ['pivot_root', 'Its root: the old tree goes away'],
  ['network', 'Its network: a cable to a bridge'], ['capabilities', 'What it may do: user and capabilities'], ['seccomp', 'What it may ask: a filter of calls'], ['exec', 'Its program: processes and execve'],
] as const;
const FEW = 5;
const BY_HAND = 'unshare --mount --pid --uts --net --fork --mount-proc sh -c "hostname mine; mount -t tmpfs none /mnt; ps"';

interface Run { id: number; command: string; side: string; rows: RunCallRow[] }

function runsOf(rows: readonly RunCallRow[], side: string): Run[] {
  const runs = new Map<number, Run>();
  for (const row of rows) {
    if (row.side !== side) continue;
    const run = runs.get(row.run) ?? { id: row.run, command: row.command, side, rows: [] };
    run.rows.push(row);
    runs.set(row.run, run);
  }
  for (const run of runs.values()) run.rows.sort((a, b) => a.t - b.t);
  return [...runs.values()];
}

/** A hand-made container is often several commands: those that made something, together. */
const together = (runs: Run[]): Run | undefined => (runs.length === 0 ? undefined : { id: 0, command: `${runs.length} commands`, side: 'hand', rows: runs.flatMap((run) => run.rows).sort((a, b) => a.t - b.t) });

export function Calls({ chosen }: { chosen: ContainerRow | undefined }) {
  const rows = useRows<RunCallRow>('run-calls', { host: HOST });
  const [order, sort] = useState<'purpose' | 'order'>('purpose');
  const [left, pickLeft] = useState<number | null>(null);
  const [right, pickRight] = useState<number | null>(null);
  const engine = runsOf(rows, 'engine').filter((run) => run.rows.some((row) => row.purpose === 'namespaces'));
  const hand = runsOf(rows, 'hand');
  if (engine.length === 0 && hand.length === 0) return <Empty title="Nobody has made a container yet" line="docker run --rm busybox true">Every system call that makes one, across dockerd, containerd, the shim and runc, stands here by its purpose, beside what you do by hand. On the host:</Empty>;
  const docker = engine.find((run) => run.id === left) ?? engine.find((run) => chosen && run.rows.some((row) => row.container !== '' && chosen.id.startsWith(row.container))) ?? engine[engine.length - 1];
  const makers = hand.filter((run) => run.rows.some((row) => row.purpose === 'namespaces'));
  const own = right === 0 ? together(hand) : (hand.find((run) => run.id === right) ?? makers[makers.length - 1]);
  return (
    <section className={css.block} aria-label="System calls">
      <h3><RoleMark place="host-kernel" /> docker run as its system calls <small>beside a container by hand</small></h3>
      <div className={css.choice}><Segments label="Order of the calls" value={order} options={[['purpose', 'By purpose'], ['order', 'In order']]} onChange={sort} /></div>
      <div className={css.sides}>
        <Side run={docker} runs={engine} pick={pickLeft} title="docker run" empty="docker run --rm busybox true" />
        <Side run={own} runs={hand} pick={pickRight} title="By hand" empty={BY_HAND} all={hand.length > 1} />
      </div>
      {order === 'purpose' ? PURPOSES.map(([purpose, title]) => <Purpose key={purpose} purpose={purpose} title={title} docker={docker} own={own} />) : (
        <div className={css.sides}><List rows={docker?.rows ?? []} all /><List rows={own?.rows ?? []} all /></div>
      )}
    </section>
  );
}

function Side({ run, runs, pick, title, empty, all = false }: { run: Run | undefined; runs: Run[]; pick: (id: number) => void; title: string; empty: string; all?: boolean }) {
  if (!run) return <div><h4>{title}</h4><p className={css.quiet}>Nothing yet. Try:</p><Runnable line={empty} /></div>;
  const who = [...new Set(run.rows.map((row) => row.who))];
  return (
    <div>
      <h4>{title} <small>{count(run.rows.length)} calls by {who.slice(0, 6).join(', ')}</small></h4>
      {runs.length > 1 ? <select className={css.select} aria-label={`Which command, ${title}`} value={run.id} onChange={(e) => pick(Number(e.target.value))}>{all ? <option value={0}>all {runs.length} commands together</option> : null}{runs.map((one) => <option key={one.id} value={one.id}>{one.command}</option>)}</select> : <code className={css.command} title={run.command}>{run.command}</code>}
    </div>
  );
}

function Purpose({ purpose, title, docker, own }: { purpose: string; title: string; docker: Run | undefined; own: Run | undefined }) {
  const [all, unfold] = useState(false);
  const of = (run: Run | undefined): RunCallRow[] => run?.rows.filter((row) => row.purpose === purpose) ?? [];
  const [a, b] = [of(docker), of(own)];
  const longest = Math.max(a.length, b.length);
  return (
    <div className={css.purpose}>
      <h4>{title} <small>{a.length} and {b.length}</small>{longest > FEW ? <button type="button" className={css.link} aria-expanded={all} onClick={() => unfold(!all)}>{all ? 'fewer' : `all ${longest}`}</button> : null}</h4>
      <div className={css.sides}>
        <List rows={a} all={all} />
        {b.length === 0 && own ? <p className={css.without}>nothing: it goes without</p> : <List rows={b} all={all} />}
      </div>
    </div>
  );
}

function List({ rows, all }: { rows: RunCallRow[]; all: boolean }) {
  const selection = useStore((s) => s.selection);
  return (
    <ol className={css.calls}>{(all ? rows : rows.slice(0, FEW)).map((row) => (
      <li key={row.key}><button type="button" aria-pressed={selection?.kind === 'call' && selection.id === row.key} className={selection?.kind === 'call' && selection.id === row.key ? css.on : ''} onClick={() => select({ kind: 'call', id: row.key })}>
        <small>{row.who}</small><code>{row.name}</code><span>{row.failed ? <OutcomeMark outcome="warn" size={10} /> : null} {(row.what || row.args).replace(/\b([0-9a-f]{7})[0-9a-f]{57}\b/g, '$1…')}</span>
      </button></li>
    ))}{!all && rows.length > FEW ? <li className={css.andMore}>and {rows.length - FEW} more</li> : null}</ol>
  );
}
