/**
 * The programs that come later. They are asked for when a first prompt has gone out. A world that runs one before it is
 * there is spoilt: it stands still, messages wait, and once all programs are there it is built anew from its recording. So
 * no world depends on when they came.
 */
import type { ToWorker } from '../bridge/protocol.ts';

/** The programs that no boot runs. */
export interface Rest {
  /** The program that a world ran before it was there. */
  missed(): string | null;
  load(): Promise<void>;
}

export interface Gate {
  /** The world stands still. */
  closed(): boolean;
  /** Whether the world cannot be believed; if so, it stands still from now on. */
  spoilt(): boolean;
  /** Loads the rest, unless that was done. */
  ask(): void;
  /** The world stands still until the rest is there. */
  wait(): void;
  /** Keeps a message until then; says whether it did. */
  keep(message: ToWorker): boolean;
}

/** `go` is called when a world that stood still goes on: whether it must be built anew, why it cannot go on, what was kept. */
export function createGate(rest: Rest | undefined, go: (anew: boolean, failure: string | null, kept: ToWorker[]) => void): Gate {
  let state: 'lacking' | 'asked' | 'whole' = rest ? 'lacking' : 'whole';
  let held: ToWorker[] | null = null;
  let anew = false;

  function ask(): void {
    if (!rest || state !== 'lacking') return;
    state = 'asked';
    rest.load().then(() => open('whole', null), (error) => open('lacking', `programs of the lab could not be loaded, reload the page: ${error instanceof Error ? error.message : error}`));
  }

  function open(now: typeof state, failure: string | null): void {
    state = now;
    if (!held) return;
    const kept = held;
    held = null;
    go(anew, failure, kept);
    anew = false;
  }

  function wait(): void {
    if (state === 'whole') return;
    held ??= [];
    ask();
  }

  return {
    closed: () => held !== null,
    spoilt() {
      if (!rest?.missed()) return false;
      anew = true;
      wait();
      return true;
    },
    ask, wait,
    keep(message) {
      held?.push(message);
      return held !== null;
    },
  };
}
