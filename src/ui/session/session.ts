/** Opening, acting, keeping: everything the page asks of the world goes through here. */
import type { Action, Frame, Recording } from '../../bridge/protocol.ts';
import { call, connect } from '../bridge/client.ts';
import { freshLab } from '../bridge/start-worker.ts';
import { get, set, takeFrame, toast } from '../store.ts';
import { receiveTerm, waitForTerminal } from '../terminal/buffers.ts';
import { BadLink, fromHash, readRecording } from './link.ts';

const LARGEST_FILE = 64 * 1024 * 1024;

let unkeptSaid = false;

export async function begin(): Promise<void> {
  const opened = connect((frame: Frame) => {
    receiveTerm(frame.term);
    takeFrame(frame);
    if (frame.crashed) {
      console.warn(frame.crashed);
      toast(`${frame.crashed.split(':')[0]} was ended by a fault of its model; the lab goes on. “Download the recording” keeps what led there.`, true);
    }
    if (frame.unkept && !unkeptSaid) {
      unkeptSaid = true;
      toast(frame.unkept, true);
    }
  }, (message) => set({ broken: message }));
  addEventListener('hashchange', () => void readHash());
  try {
    const { recording, problem } = await opened;
    if (problem) toast(`The kept session could not be opened: ${problem}. This is a fresh lab.`, true);
    await tell(recording);
  } catch (error) {
    set({ broken: said(error) });
  }
  await readHash();
}

async function readHash(): Promise<void> {
  try {
    const recording = fromHash(location.hash);
    if (recording) set({ dialog: { incoming: recording } });
  } catch (error) {
    set({ dialog: { problem: error instanceof BadLink ? error.message : said(error) } });
    clearHash();
  }
}
export const clearHash = (): void => history.replaceState(null, '', location.pathname + location.search);
export const said = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export async function openRecording(recording: Recording): Promise<void> {
  set({ fault: null, selection: null, ready: false });
  await tell({ ...recording, ...(await call('open', { recording })) });
}

/** Says what has been opened; in a fresh lab somebody sits down at the first terminal. */
async function tell({ scenario, seed, lab, inputs }: Recording): Promise<void> {
  set({ scenario, seed, ...(lab ? { lab } : {}) });
  if (inputs.length === 0) await call('act', { do: 'open', tty: 'tty1' }).catch(() => null);
}

export async function openFresh(scenario = 'lab', seed = 1, drop = true): Promise<void> {
  if (drop) await call('forget', {}).catch(() => null);
  try {
    await openRecording(freshLab(scenario, seed));
  } catch (error) {
    set({ broken: said(error) });
  }
}

export async function act(action: Action): Promise<boolean> {
  try {
    await call('act', action);
    if (!get().running && (action.do === 'type' || action.do === 'vm')) void call('play', { running: true });
    return true;
  } catch (error) {
    toast(said(error), true);
    return false;
  }
}
export async function recordingNow(): Promise<Recording> {
  const { lab } = get();
  return { ...(await call('recording', {})), ...(lab ? { lab } : {}) };
}

/** Types a line at the terminal in front and shows it. */
export async function run(line: string, tty = get().tty): Promise<void> {
  set({ terminalFolded: false, ...(innerWidth < 720 ? { tab: 'terminal' as const } : {}) });
  await waitForTerminal(tty);
  await act({ do: 'type', tty, data: `${line}\r` });
}

/** Puts a file under /root/uploads, or opens it when it is a recording. The name it has there, or null; a cluster's dump is taken in at once unless told not to. */
export async function putFile(file: File, take = true): Promise<string | null> {
  if (file.size > LARGEST_FILE) {
    toast(`${file.name} is ${Math.round(file.size / 1048576)} MiB; files up to 64 MiB can be put into the lab`, true);
    return null;
  }
  if (/\.nestbox\.json$/.test(file.name)) {
    try {
      set({ dialog: { incoming: readRecording(await file.text()) } });
    } catch (error) {
      toast(`${file.name}: ${said(error)}`, true);
    }
    return null;
  }
  const name = file.name.replace(/[^A-Za-z0-9._+@=-]/g, '_').slice(-100) || 'file';
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = '';
  for (let i = 0; i < bytes.length; i += 0x8000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  if (!(await act({ do: 'file', name, base64: btoa(binary) }))) return null;
  if (!take) return name;
  // the dump of a cluster becomes part of the one here
  if (/^\s*\{/.test(binary.slice(0, 100)) && /"kind":\s*"(Node|Pod|Deployment)?List"/.test(binary.slice(0, 2000) + binary.slice(-2000))) void run(`lab import /root/uploads/${name}`);
  else toast(`The file is at /root/uploads/${name}`);
  return name;
}
export async function download(): Promise<void> {
  const recording = await recordingNow();
  const url = URL.createObjectURL(new Blob([JSON.stringify(recording)], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `${recording.lab ?? recording.scenario.replace(/[^a-z0-9-]/gi, '-').slice(0, 30)}.nestbox.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export const play = (running: boolean, speed?: number): void => void call('play', { running, ...(speed === undefined ? {} : { speed }) }).catch((e) => toast(said(e), true));
export const step = (by: 1 | -1): void => void call('step', { by }).catch((e) => toast(said(e), true));
let seekBusy = false;
let seekNext: number | null = null;
/** One seek at a time; while dragging, only the newest wish counts. */
export async function seek(t: number): Promise<void> {
  if (seekBusy) {
    seekNext = t;
    return;
  }
  seekBusy = true;
  try {
    await call('seek', { t: Math.max(0, Math.min(t, get().end)) });
    await new Promise((resolve) => setTimeout(resolve, 60));
  } catch (error) {
    toast(said(error), true);
  }
  seekBusy = false;
  if (seekNext !== null) {
    const next = seekNext;
    seekNext = null;
    void seek(next);
  }
}
export const stepVm = (vm: { host: string; name: string }, cmd: 'pause' | 'resume' | 'step' | 'step-exit'): Promise<boolean> => act({ do: 'vm', host: vm.host, vm: vm.name, cmd });
