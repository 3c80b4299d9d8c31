/**
 * fork(2) for an interpreter that cannot copy itself: everything it does follows from the results of its system calls, so the
 * child runs the program again from its start on the recorded results, touching nothing, up to the call of fork. Recorded only
 * where the program's text has the word fork.
 */
import type { Body, Request } from '../../kernel/sys.ts';

interface Entry {
  value?: unknown;
  error?: unknown;
}

export interface Tape {
  entries: Entry[];
  /** Signals, by how many requests had been made when each came. */
  signals: { at: number; signal: number }[];
  requests: number;
  /** The body of a child for which the call now being made returns 0. */
  child: () => Body;
}

/** Runs what `make` gives, first on the past, then on the kernel. `arrive` is told of the past's signals. */
export function* taped(make: (tape: Tape, past: boolean) => { body: Body; arrive: (signal: number) => void }, past: Omit<Tape, 'child'> | null): Body {
  const tape: Tape = { entries: past ? past.entries.slice() : [], signals: past ? past.signals.slice() : [], requests: 0, child: () => taped(make, snapshot(tape)) };
  let at = 0;
  let signal = 0;
  const end = past ? tape.entries.length : 0;
  const { body, arrive } = make(tape, past !== null);
  let step = body.next();
  while (!step.done) {
    const request = step.value as Request;
    tape.requests++;
    if (at < end) {
      for (; signal < tape.signals.length && tape.signals[signal]!.at <= tape.requests; signal++) arrive(tape.signals[signal]!.signal);
      const entry = request.op === 'sys' ? tape.entries[at++]! : {};
      step = 'error' in entry ? body.throw(entry.error) : body.next(entry.value);
      continue;
    }
    const entry: Entry = {};
    try {
      entry.value = yield request;
    } catch (error) {
      entry.error = error;
    }
    if (request.op === 'sys') tape.entries.push(entry);
    step = 'error' in entry ? body.throw(entry.error) : body.next(entry.value);
  }
  return step.value;
}

function snapshot(tape: Tape): Omit<Tape, 'child'> {
  return { entries: [...tape.entries, { value: 0 }], signals: tape.signals.slice(), requests: 0 };
}
