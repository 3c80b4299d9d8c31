/** Timers: when each goes off next, by its own start, the machine's, its unit's or the calendar. Source: systemd.timer(5), src/core/timer.c. */
import { sys } from '../../kernel/sys.ts';
import type { Call } from '../lib/http.ts';
import { nextElapse, parseCalendar } from './oncalendar.ts';
import { become, type Manager, monotonic, say, type Service, title } from './service.ts';

/** Monotonic ns when it goes off; 0 never. `wall` is what the monotonic clock lacks to the date. */
export function nextTimer(service: Service, wall: number): number {
  if (service.active !== 'active' || service.sub !== 'waiting') return 0;
  const times = [service.next, service.nextDate > 0 ? service.nextDate - wall : 0].filter((t) => t > 0);
  return times.length === 0 ? 0 : Math.min(...times);
}

/** Counts anew; with nothing to come it has elapsed for good. */
export function* armTimer(m: Manager, service: Service, first: boolean): Call<void> {
  const timer = service.unit.timer!;
  const target = m.services.find((s) => s.unit.name === timer.unit);
  const [mono, date] = [yield* monotonic(), yield* sys('clock_gettime', 'realtime')];
  if (first) service.activeAt = mono;
  const past = (base: number, spans: readonly number[]): number[] => (base === 0 && spans.length > 0 ? [] : spans.map((us) => base + us * 1000));
  const once = [...past(service.activeAt, timer.onActive), ...timer.onBoot.map((us) => Math.max(us * 1000, 1))].filter((t) => first || t > mono);
  const running = target !== undefined && target.active === 'active';
  const repeated = [...past(target?.activeAt ?? 0, timer.onUnitActive), ...(running ? [] : past(target?.inactiveAt ?? 0, timer.onUnitInactive))];
  const times = [...once.map((t) => Math.max(t, mono)), ...repeated.map((t) => Math.max(t, mono))];
  service.next = times.length === 0 ? 0 : Math.max(1, Math.min(...times));
  const dates = timer.calendar.flatMap((text) => {
    const spec = parseCalendar(text);
    const at = spec === null ? null : nextElapse(spec, Math.floor(date / 1000));
    return at === null ? [] : [at * 1000];
  });
  service.nextDate = dates.length === 0 ? 0 : Math.min(...dates);
  yield* become(service, 'active', service.next === 0 && service.nextDate === 0 ? (timer.onUnitActive.length + timer.onUnitInactive.length > 0 && target?.active === 'active' ? 'running' : 'elapsed') : 'waiting');
}

export function* startTimer(m: Manager, service: Service): Call<void> {
  service.result = 'success';
  yield* armTimer(m, service, true);
  yield* say(service, `Started ${title(service)}.`);
}

/** Its unit starts; the timer waits for that, or counts anew. */
export function* elapse(m: Manager, service: Service): Call<void> {
  const timer = service.unit.timer!;
  service.next = 0;
  service.nextDate = 0;
  service.lastTrigger = yield* sys('clock_gettime', 'realtime');
  yield* become(service, 'active', 'running');
  m.wanted.push(timer.unit);
}

/** Timers whose unit has started or ended. */
export function* settleTimers(m: Manager): Call<void> {
  for (const service of m.services.filter((s) => s.unit.timer !== null && s.active === 'active' && s.sub === 'running')) {
    const target = m.services.find((s) => s.unit.name === service.unit.timer!.unit);
    if (m.wanted.includes(service.unit.timer!.unit)) continue;
    if (!target || !['active', 'activating', 'deactivating'].includes(target.active)) yield* armTimer(m, service, false);
    const left = service.sub as string;
    if (left === 'elapsed' && service.transient) {
      yield* become(service, 'inactive', 'dead');
      m.services = m.services.filter((s) => s !== service);
    }
  }
}
