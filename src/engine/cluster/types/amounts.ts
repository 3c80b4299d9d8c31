/** What a pod asks for and may take, resource by resource. Source: k8s.io/component-helpers/resource PodRequests, PodLimits 1.32. */
import type { Container, PodSpec, Quantities } from './objects.ts';
import { amountOf, binary, decimal } from './quantity.ts';

/** CPU in thousandths, all else in units. */
export type Amounts = Map<string, number>;

function add(into: Amounts, list: Quantities | undefined): void {
  for (const name in list) into.set(name, (into.get(name) ?? 0) + amountOf(name, list[name]!));
}

/**
 * The sum of the containers and sidecars (init containers that restart always), or, where that is more, one init container with the
 * sidecars started before it; plus overhead. `of` is what one container counts for. Source: k8s.io/component-helpers/resource, aggregateContainerRequests.
 */
function podSum(spec: PodSpec, of: (c: Container) => Quantities | undefined): Amounts {
  const out: Amounts = new Map();
  const sidecars: Amounts = new Map();
  const peak: Amounts = new Map();
  for (const c of spec.containers ?? []) add(out, of(c));
  for (const c of spec.initContainers ?? []) {
    if (c.restartPolicy === 'Always') {
      add(out, of(c));
      add(sidecars, of(c));
      continue;
    }
    const here = new Map(sidecars);
    add(here, of(c));
    for (const [name, n] of here) peak.set(name, Math.max(peak.get(name) ?? 0, n));
  }
  for (const [name, n] of peak) out.set(name, Math.max(out.get(name) ?? 0, n));
  return out;
}

/** What a pod requests, or its limits: those of a resource that nothing limits stay absent, overhead or not. */
export function podAmounts(spec: PodSpec, list: 'requests' | 'limits'): Amounts {
  const out = podSum(spec, (c) => c.resources?.[list]);
  if (list === 'requests') add(out, spec.overhead);
  else for (const name in spec.overhead) if (out.has(name)) out.set(name, out.get(name)! + amountOf(name, spec.overhead[name]!));
  return out;
}

/** As `podAmounts` of requests, a container that says nothing about a resource counting as much as `otherwise` says. */
export function podAmountsOr(spec: PodSpec, otherwise: Quantities): Amounts {
  const out = podSum(spec, (c) => ({ ...otherwise, ...c.resources?.requests }));
  add(out, spec.overhead);
  return out;
}

/** As a quantity prints: memory and storage in powers of 1024 where they divide, the rest decimal. */
export function amountText(resource: string, amount: number): string {
  if (/(^|\.)cpu$/.test(resource)) return decimal(amount);
  return /(^|[./])(memory|storage|ephemeral-storage)$|hugepages-/.test(resource) ? binary(amount) : decimal(amount * 1000);
}

/** Of a resource whose name may have a prefix: "requests.cpu" counts as cpu does. */
export const amountIn = (resource: string, text: string | number | undefined): number => amountOf(/(^|\.)cpu$/.test(resource) ? 'cpu' : resource, text);
