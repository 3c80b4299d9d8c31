/**
 * The local APIC's timer: one-shot, periodic, and by the time-stamp counter. It keeps no clock of its own: counts follow from when
 * counting began, `timerDue` says at which nanosecond it expires next. Counts of the bus come at 1 GHz, as KVM's and QEMU's do
 * (APIC_BUS_CYCLE_NS). Source: SDM 3A 10.5.4.
 */
export interface ApicTimer {
  /** Initial count; 0: stopped. */
  initial: number;
  /** The divide configuration register. */
  divide: number;
  /** ns at which counting from `initial` began. */
  since: number;
  /** Expirations that were seen since then. */
  seen: number;
  /** IA32_TSC_DEADLINE, and the ns that it stands for; 0: disarmed. */
  deadline: bigint;
  deadlineAt: number;
}

export const createApicTimer = (): ApicTimer => ({ initial: 0, divide: 0, since: 0, seen: 0, deadline: 0n, deadlineAt: 0 });

export type TimerMode = 'one-shot' | 'periodic' | 'tsc-deadline';

/** ns a count: bits 3, 1 and 0 of the register. */
export function divisor(timer: ApicTimer): number {
  const code = (timer.divide & 3) | ((timer.divide & 8) >> 1);
  return code === 7 ? 1 : 2 << code;
}

const period = (timer: ApicTimer): number => timer.initial * divisor(timer);

/** ns of the next expiration, or null: none will come. */
export function timerDue(timer: ApicTimer, mode: TimerMode): number | null {
  if (mode === 'tsc-deadline') return timer.deadline === 0n ? null : timer.deadlineAt;
  if (timer.initial === 0 || (mode === 'one-shot' && timer.seen > 0)) return null;
  return timer.since + (timer.seen + 1) * period(timer);
}

/** Counts what has expired by `now`; true: something did. */
export function expire(timer: ApicTimer, mode: TimerMode, now: number): boolean {
  const due = timerDue(timer, mode);
  if (due === null || due > now) return false;
  if (mode === 'tsc-deadline') timer.deadline = 0n;
  else timer.seen = mode === 'periodic' ? Math.floor((now - timer.since) / period(timer)) : 1;
  return true;
}

export function startTimer(timer: ApicTimer, initial: number, now: number): void {
  Object.assign(timer, { initial, since: now, seen: 0 });
}

/** The current count register. */
export function currentCount(timer: ApicTimer, mode: TimerMode, now: number): number {
  if (mode === 'tsc-deadline' || timer.initial === 0) return 0;
  const passed = Math.floor((now - timer.since) / divisor(timer));
  if (mode === 'one-shot') return Math.max(0, timer.initial - passed);
  return timer.initial - (passed % timer.initial);
}

/** Another divisor: what is left is counted on at the new pace. */
export function setDivide(timer: ApicTimer, value: number, mode: TimerMode, now: number): void {
  const left = currentCount(timer, mode, now);
  timer.divide = value & 0xb;
  if (timer.initial === 0 || mode === 'tsc-deadline' || (mode === 'one-shot' && timer.seen > 0)) return;
  timer.since = now - (timer.initial - left) * divisor(timer);
  timer.seen = 0;
}
