/**
 * The journal: what services write, what process 1 says of them and what syslog(3) is told, one JSON object a line in
 * /var/log/journal/system.journal (the real one is a binary file with an index). journalctl.ts reads it. Source: systemd-journald(8).
 */
import { appendFile, exists, mkdirAll, statOf, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';

const DIR = '/var/log/journal';
const PATH = `${DIR}/system.journal`;
/** Rewritten with its newer half beyond this. */
const MOST = 512 * 1024;

export interface Entry {
  /** ns since 1970. */
  at: number;
  unit: string;
  ident: string;
  pid: number;
  message: string;
  /** 0 emergency … 7 debug. */
  priority: number;
  /** How it came: a service's output, process 1 itself, syslog(3), the kernel; without, from who wrote it. */
  transport?: 'stdout' | 'syslog' | 'kernel' | 'journal';
  /** Of syslog: 0 kern, 1 user, 3 daemon … */
  facility?: number;
  comm?: string;
  exe?: string;
  uid?: number;
  cgroup?: string;
}

export function* openJournal(): Call<void> {
  yield* mkdirAll(DIR);
}

export function* addEntry(entry: Entry): Call<void> {
  yield* appendFile(PATH, `${JSON.stringify(entry)}\n`);
}

/** Keeps the file small: true when it has grown too large and should be cut. */
export function* tooLarge(): Call<boolean> {
  return ((yield* statOf(PATH))?.size ?? 0) > MOST;
}

export function* entries(): Call<Entry[]> {
  const out: Entry[] = [];
  for (const line of ((yield* tryRead(PATH)) ?? '').split('\n')) {
    if (line === '') continue;
    try {
      out.push(JSON.parse(line) as Entry);
    } catch {
      // a line cut in two by a crash
    }
  }
  return out;
}

/** Whether there is a journal to write to: where process 1 is no manager, there is none. */
export const hasJournal = (): Call<boolean> => exists(DIR);
