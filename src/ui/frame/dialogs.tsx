/** Dialogs over the page: search, share, what a link holds, help. Native dialogs keep the focus where it belongs. */
import { useEffect, useRef, useState, type ReactNode } from 'react';
import type { ContainerRow, PodRow, VmRow } from '../../bridge/rows.ts';
import { GLANCE, useRows } from '../bridge/client.ts';
import { clock, count } from '../format.ts';
import { labs, startLab } from '../lesson/labs.ts';
import { partsCss, Problem } from '../parts/parts.tsx';
import { clearHash, download, openFresh, openRecording, putFile, recordingNow, run, said } from '../session/session.ts';
import { toLink, typedLines } from '../session/link.ts';
import { get, SCENES, select, set, setTheme, show, toast, useStore } from '../store.ts';
import css from './frame.module.css';

export function Dialogs() {
  const dialog = useStore((s) => s.dialog);
  if (dialog === null) return null;
  if (dialog === 'search') return <Modal label="Find anything"><Palette /></Modal>;
  if (dialog === 'share') return <Modal label="Share this session"><Share /></Modal>;
  if (dialog === 'save') return <Modal label="Save the picture"><Save /></Modal>;
  if (dialog === 'help') return <Modal label="Keys"><Help /></Modal>;
  if ('incoming' in dialog) return <Modal label="A shared session"><Incoming /></Modal>;
  return (
    <Modal label="The link cannot be opened">
      <div><h2>The link cannot be opened</h2><Problem title="Not a whole share link">{dialog.problem}. Ask for the link again, or for the recording as a file.</Problem><p>This is a fresh lab.</p>
        <div className={css.row}><button type="button" className={`${partsCss.button} ${partsCss.primary}`} onClick={() => set({ dialog: null })}>Go on</button></div></div>
    </Modal>
  );
}

function Modal({ label, children }: { label: string; children: ReactNode }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    if (!box.current!.open) box.current!.showModal();
    return () => before?.focus();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it
    <dialog ref={box} className={css.dialog} aria-label={label} onClose={() => set({ dialog: null })} onClick={(e) => { if (e.target === box.current) set({ dialog: null }); }}>{children}</dialog>
  );
}

interface Item { text: string; what: string; go: () => void }
function Palette() {
  const containers = useRows<ContainerRow>('containers');
  const pods = useRows<PodRow>('pods', GLANCE);
  const vms = useRows<VmRow>('vms');
  const [query, setQuery] = useState('');
  const [at, setAt] = useState(0);
  const items: Item[] = [
    ...SCENES.map((scene, i): Item => ({ text: scene.name, what: `scene ${i + 1}`, go: () => show(scene.id) })),
    ...labs().map((lab): Item => ({ text: lab.title, what: 'lab', go: () => void startLab(lab.id) })),
    ...vms.map((vm): Item => ({ text: vm.name, what: 'VM', go: () => { show('walk'); set({ vm: vm.name }); } })),
    ...containers.map((one): Item => ({ text: `${one.name} ${one.id.slice(0, 12)}`, what: 'container', go: () => { show('containers'); select({ kind: 'container', id: one.id }); } })),
    ...pods.slice(0, 5000).map((pod): Item => ({ text: `${pod.namespace}/${pod.name}`, what: 'pod', go: () => { show('cluster'); select({ kind: 'pod', id: `${pod.namespace}/${pod.name}` }); } })),
    { text: 'Share this session', what: 'command', go: () => set({ dialog: 'share' }) },
    { text: 'Put a file into the lab', what: 'command', go: pickFile },
    { text: 'Export manifests: the cluster as files for a real one, kind and KWOK', what: 'command', go: () => void import('../session/transfer.ts').then(({ exportManifests }) => exportManifests()) },
    { text: 'Import dump: a real cluster’s kubectl get … -A -o json becomes part of this one', what: 'command', go: () => void import('../session/transfer.ts').then(({ importDump }) => importDump()) },
    { text: 'Assembly editor', what: 'picture', go: () => { set((s) => ({ mode: { ...s.mode, spectrum: 'editor' } })); show('spectrum'); } },
    { text: 'Download the recording', what: 'command', go: () => void download() },
    { text: 'Start a fresh lab', what: 'command', go: () => void openFresh() },
    ...[100, 500, 1000, 5000].map((n): Item => ({ text: `Start a big cluster: ${count(n)} hollow nodes, ${count(n * (n === 5000 ? 30 : 24))} pods`, what: 'command', go: () => void openFresh(`big-cluster-${n}${n === 5000 ? '-30' : ''}`).then(() => show('cluster')) })),
    { text: 'Save the picture', what: 'command', go: () => set({ dialog: 'save' }) },
    { text: 'Present', what: 'command', go: () => set({ present: true }) },
    ...(['light', 'dark', 'projector'] as const).map((theme): Item => ({ text: `Theme: ${theme}`, what: 'command', go: () => setTheme(theme) })),
    { text: 'Leave the lab in work', what: 'command', go: () => set({ lab: null }) },
    { text: 'Keys and help', what: 'command', go: () => set({ dialog: 'help' }) },
  ];
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = items.filter((item) => words.every((word) => `${item.text} ${item.what}`.toLowerCase().includes(word))).slice(0, 40);
  if (query.trim() !== '') found.push({ text: query, what: 'type it in the terminal', go: () => void run(query) });
  const chosen = Math.min(at, found.length - 1);
  const go = (item: Item | undefined): void => {
    set({ dialog: null });
    item?.go();
  };
  return (
    <div className={css.palette}>
      <input type="text" role="combobox" aria-expanded="true" aria-controls="found" aria-activedescendant={`found-${chosen}`} aria-label="Find anything" placeholder="Scene, lab, pod, or command to run" value={query}
        onChange={(e) => { setQuery(e.target.value); setAt(0); }}
        onKeyDown={(e) => {
          if (e.key === 'ArrowDown') setAt((chosen + 1) % found.length);
          else if (e.key === 'ArrowUp') setAt((chosen - 1 + found.length) % found.length);
          else if (e.key === 'Enter') go(found[chosen]);
          else return;
          e.preventDefault();
        }} />
      <div id="found" role="listbox" aria-label="Found" className={css.found}>
        {found.map((item, i) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the combobox has the keys
          <div key={`${item.what} ${item.text}`} id={`found-${i}`} role="option" tabIndex={-1} aria-selected={i === chosen} ref={(box) => { if (i === chosen) box?.scrollIntoView({ block: 'nearest' }); }} onClick={() => go(item)}>{item.text}<span>{item.what}</span></div>
        ))}
      </div>
    </div>
  );
}

export function pickFile(): void {
  const input = document.createElement('input');
  input.type = 'file';
  input.multiple = true;
  input.onchange = () => { for (const file of input.files ?? []) void putFile(file); };
  input.click();
}

function Share() {
  const [link, setLink] = useState('');
  useEffect(() => { void recordingNow().then((r) => setLink(toLink(r)), (e) => toast(said(e), true)); }, []);
  return (
    <div>
      <h2>Share this session</h2>
      <p>The link holds what was typed and done, nothing else: whoever opens it sees the same run, step by step. No server keeps it.</p>
      <textarea readOnly rows={4} aria-label="Link to this session" value={link} onFocus={(e) => e.target.select()} />
      <p>{link === '' ? 'Making the link…' : `${count(link.length)} characters.${link.length > 30_000 ? ' That is long for a message: some programs cut links. Send the recording as a file.' : ''}`}</p>
      <div className={css.row}>
        <button type="button" className={partsCss.button} onClick={pickFile}>Open a recording…</button>
        <button type="button" className={partsCss.button} onClick={() => void download()}>Download the recording</button>
        <button type="button" className={`${partsCss.button} ${partsCss.primary}`} disabled={link === ''} onClick={() => void navigator.clipboard.writeText(link).then(() => { toast('The link is copied'); set({ dialog: null }); }, () => toast('The browser did not allow it: select the link and copy it', true))}>Copy the link</button>
      </div>
    </div>
  );
}

function Incoming() {
  const [recording] = useState(() => (get().dialog as { incoming: import('../../bridge/protocol.ts').Recording }).incoming);
  const lines = typedLines(recording);
  const own = /[\n:]/.test(recording.scenario);
  const open = async (): Promise<void> => {
    clearHash();
    set({ dialog: null });
    try {
      await openRecording(recording);
    } catch (error) {
      set({ dialog: { problem: said(error) } });
      await openFresh(undefined, undefined, false);
    }
  };
  return (
    <div>
      <h2>A shared session</h2>
      <p>Scenario {own ? 'of its own (a file in the link)' : <b>{recording.scenario}</b>}, seed {recording.seed}, {count(recording.inputs.length)} inputs, {clock(recording.until)} s of simulated time{recording.lab ? `, lab ${recording.lab}` : ''}. It runs in this tab only; your own session is replaced.</p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <section className={css.commands} tabIndex={0} aria-label="What was typed in it">{lines.length === 0 ? 'Nothing was typed.' : lines.slice(0, 500).join('\n')}</section>
      <div className={css.row}>
        <button type="button" className={partsCss.button} onClick={() => { clearHash(); set({ dialog: null }); }}>Keep my session</button>
        <button type="button" className={`${partsCss.button} ${partsCss.primary}`} onClick={() => void open()}>Open it</button>
      </div>
    </div>
  );
}

function Save() {
  const save = (kind: 'svg' | 'png'): void => {
    set({ dialog: null });
    void import('./save-picture.ts').then(({ savePicture }) => savePicture(kind)).catch((error) => toast(said(error), true));
  };
  return (
    <div>
      <h2>Save the picture</h2>
      <p>As it stands now, in this theme, all of it: what is scrolled out of sight too. SVG stays sharp at any size and opens in a browser; PNG goes anywhere. Its rows are in the table beside it, as CSV.</p>
      <div className={css.row}>
        <button type="button" className={partsCss.button} onClick={() => save('svg')}>Save as SVG</button>
        <button type="button" className={`${partsCss.button} ${partsCss.primary}`} onClick={() => save('png')}>Save as PNG</button>
      </div>
    </div>
  );
}

const KEYS: [string, string][] = [
  ['1 … 8', 'scenes'], ['Ctrl K', 'find anything (in the terminal, Ctrl K belongs to the shell)'], ['F6, Shift F6', 'next and previous part of the page; the way out of the terminal'],
  [', and .', 'step back and forward by an event'], ['Space', 'play or pause'], ['← → on the playhead', 'step by an event; Home and End go to start and end'], ['f', 'picture over the whole page'],
  ['Esc', 'leave full picture and presenter'], ['Ctrl Shift C, V', 'copy and paste in the terminal'], ['?', 'this list'],
];
function Help() {
  return (
    <div>
      <h2>Keys</h2>
      <div className={css.keys}>{KEYS.map(([key, what]) => <div key={key} style={{ display: 'contents' }}><kbd className={css.key} style={{ justifySelf: 'start' }}>{key}</kbd><span>{what}</span></div>)}</div>
      <p>Drop any file on the page, and it appears under /root/uploads.</p>
      <div className={css.row}><button type="button" className={`${partsCss.button} ${partsCss.primary}`} onClick={() => set({ dialog: null })}>Close</button></div>
    </div>
  );
}
