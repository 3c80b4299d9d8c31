/** Signals by the names that docker takes: "TERM", "SIGTERM", "15". */
import { SIG } from '../../../../kernel/abi.ts';

/** A number that some name stands for. */
export const isSignal = (n: number): boolean => n > 0 && n <= 64 && n !== 32 && n !== 33;

/** The number, any but zero, or null. Source: moby/sys signal (ParseSignal). */
export function signalNumber(name: string): number | null {
  if (/^[-+]?\d+$/.test(name)) return Number(name) || null;
  const bare = name.toUpperCase().replace(/^SIG/, '');
  return Object.hasOwn(SIG, bare) ? SIG[bare as keyof typeof SIG] : null;
}
