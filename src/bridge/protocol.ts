/**
 * What crosses the boundary between the page and the worker: plain data in three shapes.
 *
 *   call       page → worker, answered once (`reply`)
 *   subscribe  page → worker: a view and its argument; its rows then travel as patches
 *   frame      worker → page: time, patches, terminal bytes. One in flight: the page answers `ack`
 *
 * The same messages serve the headless tool, which keeps page and worker in one process.
 */

/** A thing a person did. With the scenario and the seed, the whole truth of a session. Times are simulated ns. */
export type Input = { t: number } & Action;

export type Action =
  /** Bytes typed at a terminal of the host ("tty1"…); a terminal comes to life with its first action. */
  | { do: 'type'; tty: string; data: string }
  | { do: 'resize'; tty: string; cols: number; rows: number }
  | { do: 'open'; tty: string }
  /** A file put under /root/uploads. */
  | { do: 'file'; name: string; base64: string }
  /** The debugger attached to a VM. */
  | { do: 'vm'; host: string; vm: string; cmd: 'pause' | 'resume' | 'step' | 'step-exit' }
  /** An answer to a lab's question, kept so that a record can be graded. */
  | { do: 'answer'; lab: string; step: string; answer: string }
  | { do: 'hint'; lab: string; step: string; index: number };

export interface Recording {
  nestbox: 1;
  /** A scenario's name, or the text of a scenario file (YAML). */
  scenario: string;
  seed: number;
  inputs: Input[];
  /** Simulated time at which it was saved. */
  until: number;
  /** Trace hash at `until`, when known: replay must reproduce it. */
  hash?: string;
  /** The lab being worked on, when there is one. */
  lab?: string;
}

export type Cell = string | number | boolean | null;
/** One row of a view. `key` is unique within the view. */
export type Row = { key: string } & Record<string, Cell>;

export interface Column {
  name: string;
  /** "ns", "bytes", "KiB", "count", "hex", "" … */
  unit: string;
  doc: string;
}

/** Whole rows that are new or changed, keys that are gone; `order` only when the order of keys changed. */
export interface Patch {
  sub: number;
  set: Row[];
  gone: string[];
  order?: string[];
}

/** What changed in a cluster, as numbers: for pictures of very many pods. Names are sent once and mean their place in all that were sent. */
export interface CellPatch {
  sub: number;
  /** What went before is void. */
  reset: boolean;
  nodes: string[];
  namespaces: string[];
  owners: string[];
  /** Of the new pods, in the order of `pods`, joined by line feeds. */
  names: string;
  /** Five a pod: slot; node's place + 1 (0: none) | state << 16 | QoS class << 24 | 1 << 28 when it is new; namespace; owner; priority. */
  pods: Uint32Array;
  /** Nine a node: place, flags (1 ready, 2 cordoned, 4 tainted; -1: gone), cpu m, requested, memory bytes, requested, pods, most pods, 0. */
  nodeCells: Float64Array;
}

export interface Frame {
  type: 'frame';
  /** Simulated ns. */
  t: number;
  /** Instructions the selected VMs have executed in all; 0 without one. */
  instructions: number;
  running: boolean;
  speed: number;
  /** The furthest time this session has reached; scrubbing back does not forget it. */
  end: number;
  patches: Patch[];
  cells?: CellPatch[];
  term: { tty: string; data: string; reset?: boolean }[];
  /** Set once when the engine itself failed: the world stands still, the recording is whole. */
  fault?: { message: string; at: number };
  /** A modelled program failed by a fault of its own: it was ended, the world goes on. Sent once each. */
  crashed?: string;
  /** Why the session cannot be kept in this browser; absent when it is. */
  unkept?: string;
  /** Progress of a long replay, 0 to 1; absent when there is none. */
  seeking?: number;
}

export type Query = { view: string; arg?: Record<string, Cell>; where?: Record<string, unknown>; count?: unknown };

export interface Calls {
  /** Ends the current world and opens another. */
  open: { in: { recording: Recording; at?: number }; out: { scenario: string; seed: number } };
  /** Opens the session this browser kept last, where that is asked for and there is one, else the fresh one. `problem`: why the kept one could not be opened. */
  resume: { in: { fresh: Recording; kept: boolean }; out: { recording: Recording; problem: string | null } };
  act: { in: Action; out: null };
  play: { in: { running: boolean; speed?: number }; out: null };
  /** Runs to `t` (replaying from the start when it lies in the past). Acting in the past drops what came after. */
  seek: { in: { t: number }; out: null };
  /** Forward or back by one event of the trace. */
  step: { in: { by: 1 | -1 }; out: null };
  recording: { in: Record<string, never>; out: Recording };
  /** Keeps the present session no longer. */
  forget: { in: Record<string, never>; out: null };
  /** The rows of a view, once. */
  rows: { in: { view: string; arg?: Record<string, Cell> }; out: Row[] };
  /** Are these checks true now? `seen` is the live value each looked at, as a short text. */
  check: { in: { checks: Query[] }; out: { ok: boolean; seen: string }[] };
  /** What the lab's assembler makes of a source; touches no world. Addresses as text; errors as NASM prints them, with their column. */
  assemble: { in: { name: string; source: string }; out: { origin: string; size: number; lines: { line: number; address: string; bytes: string }[]; errors: { line: number; column: number; text: string }[] } };
  views: { in: Record<string, never>; out: { name: string; doc: string; arg: string; columns: Column[] }[] };
}

export type ToWorker =
  | { type: 'call'; id: number; name: keyof Calls; in: unknown }
  | { type: 'subscribe'; sub: number; view: string; arg?: Record<string, Cell> }
  | { type: 'unsubscribe'; sub: number }
  /** The cluster's cells: their patches come in `Frame.cells` until unsubscribed. */
  | { type: 'cells'; sub: number }
  | { type: 'ack' };

export type ToPage =
  | { type: 'reply'; id: number; out?: unknown; error?: string }
  | Frame;
