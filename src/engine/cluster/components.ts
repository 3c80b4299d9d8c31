/**
 * ComponentStatus, as a server of today still answers it, with a warning: whether the parts of the control plane say that they
 * are well. They run within this one, so they are while it answers. Source: pkg/registry/core/componentstatus 1.32.
 */
import { notFound } from './errors.ts';
import { notAllowed } from './verbs.ts';
import type { ApiResponse, Target } from './request.ts';
import type { Json } from './types/objects.ts';

const PARTS = ['controller-manager', 'scheduler', 'etcd-0'];

const statusOf = (name: string): Json => ({ metadata: { name, creationTimestamp: null }, conditions: [{ type: 'Healthy', status: 'True', message: 'ok' }] });

export function components({ kind, name }: Target, method: string): ApiResponse {
  if (method !== 'GET') throw notAllowed();
  const warnings = ['v1 ComponentStatus is deprecated in v1.19+'];
  if (name === undefined) return { status: 200, body: { kind: 'ComponentStatusList', apiVersion: 'v1', metadata: {}, items: PARTS.map(statusOf) }, warnings };
  if (!PARTS.includes(name)) throw notFound(kind, name);
  return { status: 200, body: { kind: 'ComponentStatus', apiVersion: 'v1', ...statusOf(name) }, warnings };
}
