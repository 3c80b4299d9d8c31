/** Signals by the names that docker takes: "TERM", "SIGTERM", "15". */
import { SIG } from '../../../../kernel/abi.ts';

/** The number, or null. */
export function signalNumber(name: string): number | null {
  if (/^\d+$/.test(name)) return Number(name) > 0 && Number(name) <= 64 ? Number(name) : null;
  const bare = name.toUpperCase().replace(/^SIG/, '');
  return Object.hasOwn(SIG, bare) ? SIG[bare as keyof typeof SIG] : null;
}
