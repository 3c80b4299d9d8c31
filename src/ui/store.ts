/**
 * What the page shows and what was chosen in it. Rows are not here (see the bridge): this is time, choice and the
 * state of the frame. Choices that should last are kept in localStorage under one key.
 */
import { create } from 'zustand';
import type { Frame, Recording } from '../bridge/protocol.ts';

export const SCENES = [
  { id: 'spectrum', name: 'Spectrum' }, { id: 'layers', name: 'Layers' }, { id: 'walk', name: 'Page walk' }, { id: 'io', name: 'I/O' },
  { id: 'containers', name: 'Containers' }, { id: 'compare', name: 'VM or container' }, { id: 'cluster', name: 'Cluster' }, { id: 'toolbox', name: 'Toolbox' },
] as const;
export type SceneId = (typeof SCENES)[number]['id'];
export type Theme = 'light' | 'dark' | 'projector';
export type Selection =
  | { kind: 'reference'; id: string } | { kind: 'process'; id: string; host: string } | { kind: 'container'; id: string } | { kind: 'cgroup'; id: string; host: string }
  | { kind: 'pod'; id: string } | { kind: 'node'; id: string } | { kind: 'exit'; id: string } | { kind: 'leave'; id: string } | { kind: 'event'; id: string } | { kind: 'vmcs'; id: string } | { kind: 'record'; id: string }
  | { kind: 'image'; id: string } | { kind: 'layer'; id: string } | { kind: 'netns'; id: string } | { kind: 'device'; id: string } | { kind: 'packet'; id: string } | { kind: 'call'; id: string } | { kind: 'oom'; id: string };
export interface Toast { id: number; text: string; bad?: boolean }
export interface Progress { step: number; done: string[]; answers: Record<string, string>; hints: Record<string, number> }
export type Tab = 'lesson' | 'picture' | 'bits' | 'terminal';

interface Kept {
  theme: Theme;
  lessonWidth: number; inspectorWidth: number; terminalHeight: number;
  lessonFolded: boolean; inspectorFolded: boolean; terminalFolded: boolean;
  lab: string | null;
  progress: Record<string, Progress>;
}
interface State extends Kept {
  t: number; end: number; running: boolean; speed: number; instructions: number; seeking: number | null;
  fault: { message: string; at: number } | null;
  /** The worker did not come up at all. */
  broken: string | null;
  ready: boolean;
  scenario: string; seed: number;
  scene: SceneId; mode: Record<string, string>; selection: Selection | null; vm: string | null; tty: string; asTable: boolean;
  full: boolean; present: boolean; tab: Tab;
  dialog: null | 'search' | 'share' | 'help' | 'save' | { incoming: Recording } | { problem: string };
  toasts: Toast[];
}

const KEY = 'nestbox.page';
const fresh: Kept = {
  theme: matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light', lessonWidth: 280, inspectorWidth: 328, terminalHeight: Math.max(132, Math.min(220, Math.round(innerHeight * 0.21))),
  lessonFolded: false, inspectorFolded: false, terminalFolded: false, lab: null, progress: {},
};
function kept(): Kept {
  try {
    const read = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Kept>;
    const out = { ...fresh };
    for (const name of Object.keys(fresh) as (keyof Kept)[]) if (typeof read[name] === typeof fresh[name] || name === 'lab') Object.assign(out, { [name]: read[name] ?? fresh[name] });
    return out;
  } catch {
    return fresh;
  }
}

export const useStore = create<State>(() => ({
  ...kept(), t: 0, end: 0, running: false, speed: 1, instructions: 0, seeking: null, fault: null, broken: null, ready: false, scenario: 'lab', seed: 1,
  scene: 'walk', mode: {}, selection: null, vm: null, tty: 'tty1', asTable: false, full: false, present: false, tab: 'picture', dialog: null, toasts: [],
}));
export const set = useStore.setState;
export const get = useStore.getState;

let saving = 0;
useStore.subscribe((now, before) => {
  if ((Object.keys(fresh) as (keyof Kept)[]).every((name) => now[name] === before[name])) return;
  clearTimeout(saving);
  saving = window.setTimeout(save, 200);
});
function save(): void {
  if (saving === 0) return;
  clearTimeout(saving);
  saving = 0;
  const state = get();
  try {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(Object.keys(fresh).map((name) => [name, state[name as keyof Kept]]))));
  } catch { /* a browser that keeps nothing still works */ }
}
addEventListener('pagehide', save);

export function takeFrame(frame: Frame): void {
  const now = get();
  set({
    t: frame.t, end: frame.end, running: frame.running, speed: frame.speed, instructions: frame.instructions, seeking: frame.seeking ?? null,
    ...(frame.fault ? { fault: frame.fault } : {}), ...(now.ready || frame.seeking !== undefined ? {} : { ready: true }),
  });
}

let toastSerial = 1;
export function toast(text: string, bad = false): void {
  const id = toastSerial++;
  set((s) => ({ toasts: [...s.toasts.slice(-3), { id, text, bad }] }));
  setTimeout(() => set((s) => ({ toasts: s.toasts.filter((one) => one.id !== id) })), bad ? 9000 : 5000);
}
/** A projector wants the picture: where its larger type leaves too little of it, the lesson is folded away. */
export const setTheme = (theme: Theme): void => set((s) => ({ theme, ...(theme === 'projector' && s.lab === null && innerWidth < 1500 ? { lessonFolded: true } : {}) }));
export const show = (scene: SceneId): void => set({ scene, asTable: false });
export const select = (selection: Selection | null): void => set((s) => ({ selection, ...(selection && s.inspectorFolded && innerWidth > 1100 ? { inspectorFolded: false } : {}) }));
export function progressOf(lab: string): Progress {
  return get().progress[lab] ?? { step: 0, done: [], answers: {}, hints: {} };
}
export function setProgress(lab: string, change: Partial<Progress>): void {
  set((s) => ({ progress: { ...s.progress, [lab]: { ...progressOf(lab), ...change } } }));
}
