/**
 * What a sleeper is owed. Whoever goes to sleep having had less than its share comes back ahead of the others by as much, at most
 * by what a tick or two slices could have given it; whoever had more starts level with them. Virtual times are nanoseconds of a
 * weight of 1024. Source: kernel doc sched-eevdf, kernel/sched/fair.c (update_entity_lag, place_entity).
 */

/** ns: a tick of HZ=250, which is longer than two slices. */
const MOST = 4_000_000;

/** By how much it is behind the least of `others`, whose weights add up to `beside`; 0 when it is not, or is alone. */
export function lagOf(own: number, weight: number, others: number, beside: number): number {
  if (beside === 0 || others <= own) return 0;
  // The average of the queue lies between: its distance from the sleeper is what is bounded.
  const bound = (((MOST * 1024) / weight) * (weight + beside)) / beside;
  return Math.min(others - own, bound);
}
