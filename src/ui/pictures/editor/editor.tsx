/**
 * An assembly editor: the lab's own assembler says at every pause in typing what is wrong and where, and what each line becomes.
 * To run it, the source goes into the lab as a file and commands are typed at the terminal: both are in the recording.
 */
import { Play } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import type { Calls } from '../../../bridge/protocol.ts';
import { call } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { OutcomeMark } from '../../parts/marks.tsx';
import { partsCss } from '../../parts/parts.tsx';
import { act, run } from '../../session/session.ts';
import { EXAMPLES } from './examples.ts';
import css from './editor.module.css';

type Assembled = Calls['assemble']['out'];
const KEY = 'nestbox.editor';
const PAUSE = 180;
const DEVICE = '-m 16 -nographic -device isa-debug-exit,iobase=0xf4,iosize=4';

/** How an image is run: what comes before -kernel. */
const WAYS: readonly (readonly [id: string, name: string, line: (image: string) => string])[] = [
  ['ept', 'VT-x with EPT', (image) => `qemu-system-x86_64 -accel kvm ${DEVICE} -kernel ${image}`],
  ['shadow', 'VT-x, shadow paging', (image) => `qemu-system-x86_64 -accel kvm -cpu host,ept=off ${DEVICE} -kernel ${image}`],
  ['bt', 'Binary translation', (image) => `qemu-system-x86_64 -accel tcg ${DEVICE} -kernel ${image}`],
  ['te', 'Trap and emulate', (image) => `qemu-system-x86_64 -accel deprivileged ${DEVICE} -kernel ${image}`],
  ['bare', 'Bare machine', (image) => `bare -m 16 -kernel ${image}`],
  ['all', 'All of them, one after the other', (image) => `{ bare -m 16 -kernel ${image}; for how in deprivileged tcg 'kvm -cpu host,ept=off' kvm; do qemu-system-x86_64 -accel $how ${DEVICE} -kernel ${image}; done; }`],
];

interface Kept { name: string; source: string; way: string }
function kept(): Kept {
  try {
    const read = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Kept>;
    if (typeof read.source === 'string' && typeof read.name === 'string') return { name: read.name, source: read.source, way: read.way ?? 'ept' };
  } catch { /* begins anew */ }
  return { name: EXAMPLES[0]!.name, source: EXAMPLES[0]!.source, way: 'ept' };
}

export default function Editor() {
  const [{ name, source, way }, setState] = useState(kept);
  const [made, setMade] = useState<Assembled | null>(null);
  const area = useRef<HTMLTextAreaElement>(null);
  const change = (part: Partial<Kept>): void => setState((now) => ({ ...now, ...part }));
  const file = `${name.replace(/[^A-Za-z0-9._-]/g, '_') || 'program'}.asm`;
  useEffect(() => {
    const timer = setTimeout(() => {
      void call('assemble', { name: file, source }).then(setMade, () => setMade(null));
      try { localStorage.setItem(KEY, JSON.stringify({ name, source, way })); } catch { /* not kept */ }
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [file, name, source, way]);
  const lines = source.split('\n');
  const errors = made?.errors ?? [];
  const image = file.replace(/\.asm$/, '.img');
  const line = `nasm -f bin -o ${image} uploads/${file} && ${(WAYS.find(([id]) => id === way) ?? WAYS[0]!)[2](image)}`;
  const start = async (): Promise<void> => {
    if (await act({ do: 'file', name: file, base64: base64Of(source) })) await run(line);
  };
  const go = (at: { line: number; column: number }): void => {
    const box = area.current;
    if (!box) return;
    const offset = lines.slice(0, at.line - 1).reduce((sum, text) => sum + text.length + 1, 0) + at.column - 1;
    box.focus();
    box.setSelectionRange(offset, offset);
  };
  return (
    <div className={css.editor}>
      <div className={css.bar}>
        <label>Example <select value="" onChange={(e) => { const one = EXAMPLES.find((example) => example.name === e.target.value); if (one) change({ name: one.name, source: one.source }); }}><option value="">load…</option>{EXAMPLES.map((one) => <option key={one.name} value={one.name}>{one.title}</option>)}</select></label>
        <label>Name <input type="text" value={name} size={10} onChange={(e) => change({ name: e.target.value })} /></label>
        <label>Run under <select value={way} onChange={(e) => change({ way: e.target.value })}>{WAYS.map(([id, title]) => <option key={id} value={id}>{title}</option>)}</select></label>
        <button type="button" className={`${partsCss.button} ${partsCss.primary}`} disabled={errors.length > 0 || made === null} onClick={() => void start()}><Play size={13} aria-hidden="true" />Run</button>
      </div>
      <div className={css.types}><code>{line}</code></div>
      <div className={css.sheet}>
        <div className={css.inner} style={{ height: lines.length * 20 + 40 }}>
          <Listing lines={lines} made={made} />
          <div className={css.paper}>
            <Wrong lines={lines} errors={errors} />
            <textarea ref={area} aria-label="Assembly source" aria-describedby="assembled" aria-invalid={errors.length > 0} spellCheck={false} autoComplete="off" autoCapitalize="off" wrap="off" value={source} onChange={(e) => change({ source: e.target.value })} />
          </div>
        </div>
      </div>
      <div className={css.said} id="assembled" role="status">
        {errors.length > 0 ? (
          <ol>{errors.slice(0, 20).map((one) => <li key={`${one.line}:${one.column}:${one.text}`}><OutcomeMark outcome="warn" size={12} /> <button type="button" onClick={() => go(one)}><code>{one.text}</code></button> <small>column {one.column}</small></li>)}</ol>
        ) : made ? <span><OutcomeMark outcome="ok" size={12} /> {count(made.size)} bytes at {made.origin}; <small>the same bytes as NASM’s</small></span> : 'not assembled yet'}
      </div>
    </div>
  );
}

function base64Of(text: string): string {
  let binary = '';
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** What each line became: its address and bytes; a line that a macro or a repetition makes into several shows the first. */
function Listing({ lines, made }: { lines: string[]; made: Assembled | null }) {
  const first = new Map<number, Assembled['lines'][number]>();
  for (const one of made?.lines ?? []) if (!first.has(one.line)) first.set(one.line, one);
  const wrong = new Set(made?.errors.map((one) => one.line));
  return (
    <div className={css.listing} aria-hidden="true">{lines.map((_, at) => {
      const one = first.get(at + 1);
      // biome-ignore lint/suspicious/noArrayIndexKey: a line is its number
      return <div key={at} className={wrong.has(at + 1) ? css.bad : ''}><i>{at + 1}</i><span>{one ? one.address.slice(2) : ''}</span><b title={one?.bytes}>{one?.bytes ?? ''}</b></div>;
    })}</div>
  );
}

/** Behind the text: a line where it is wrong, and what is wrong after its end. */
function Wrong({ lines, errors }: { lines: string[]; errors: Assembled['errors'] }) {
  return (
    <div className={css.wrong} aria-hidden="true">{errors.slice(0, 60).map((one) => {
      const text = lines[one.line - 1] ?? '';
      const word = /^[^\s,\]+*-]*/.exec(text.slice(one.column - 1))?.[0].length ?? 1;
      return (
        <div key={`${one.line}:${one.column}:${one.text}`} style={{ top: (one.line - 1) * 20 }}>
          <u style={{ left: `${one.column - 1}ch`, width: `${Math.max(1, word)}ch` }} /><em style={{ left: `${text.length + 2}ch` }}>{one.text.replace(/^[^:]*:\d+: (error: )?/, '')}</em>
        </div>
      );
    })}</div>
  );
}
