/** Paths of this API server that no real one has: a whole cluster in and out, and a race between scoring rules. */
import { badRequest, noSuchPath } from './errors.ts';
import type { ApiRequest, ApiResponse } from './request.ts';
import { race } from './scheduler/race.ts';
import type { Cluster } from './state.ts';
import { exportCluster } from './transfer/export.ts';
import { importObjects } from './transfer/import.ts';
import type { Json } from './types/objects.ts';

export const EXTRAS = '/nestbox/';
/** Objects taken by one request at most. */
const MOST_ITEMS = 5000;

export function extra(cluster: Cluster, { method, path, body, query }: ApiRequest): ApiResponse {
  if (path === '/nestbox/export' && method === 'GET') return { status: 200, body: exportCluster(cluster) as unknown as Json };
  if (path === '/nestbox/import' && method === 'POST') {
    const items = parsed(body)?.items;
    if (!Array.isArray(items)) throw badRequest('the body is a list: {"items": [...]}');
    if (items.length > MOST_ITEMS) throw badRequest(`at most ${MOST_ITEMS} objects a request`);
    return { status: 200, body: importObjects(cluster, items) as unknown as Json };
  }
  if (path === '/nestbox/race' && method === 'POST') return { status: 200, body: race(cluster, body, query) as unknown as Json };
  throw noSuchPath();
}

function parsed(body: string): Json {
  try {
    return JSON.parse(body);
  } catch {
    throw badRequest('the body is no JSON');
  }
}
