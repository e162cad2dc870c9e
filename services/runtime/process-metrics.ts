// What a process tells of itself: what the metrics library knows to tell, its processor time, which version it is, and
// the bounds of its memory, so that use can be shown against them.
import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import type { Observer } from '@fulmar/core/ports.ts';
import { VERSION } from '@fulmar/core/version.ts';
import type { Registry } from 'prom-client';
import Counter from 'prom-client/lib/counter.js';
import eventLoopLag from 'prom-client/lib/metrics/eventLoopLag.js';
import garbageCollection from 'prom-client/lib/metrics/gc.js';
import heapSize from 'prom-client/lib/metrics/heapSizeAndUsed.js';
import heapSpaces from 'prom-client/lib/metrics/heapSpacesSizeAndUsed.js';
import memory from 'prom-client/lib/metrics/osMemoryHeap.js';
import handles from 'prom-client/lib/metrics/processHandles.js';
import descriptorsMax from 'prom-client/lib/metrics/processMaxFileDescriptors.js';
import descriptors from 'prom-client/lib/metrics/processOpenFileDescriptors.js';
import requests from 'prom-client/lib/metrics/processRequests.js';
import resources from 'prom-client/lib/metrics/processResources.js';
import startTime from 'prom-client/lib/metrics/processStartTime.js';
import nodeVersion from 'prom-client/lib/metrics/version.js';

/** The library's own choice wakes an idle process a hundred times a second, which was most of what it did. */
const LOOP_TICK_MS = 100;
const MICROSECONDS = 1e6;

/** All that the library calls its default metrics, under their names. */
export function collectProcess(registry: Registry): void {
  for (const collect of [startTime, memory, descriptors, descriptorsMax, resources, handles, requests])
    collect(registry);
  for (const collect of [heapSize, heapSpaces, nodeVersion, garbageCollection]) collect(registry);
  eventLoopLag(registry, { eventLoopMonitoringPrecision: LOOP_TICK_MS });
  collectProcessorTime(registry);
}

function collectProcessorTime(registry: Registry): void {
  const registers = [registry];
  let before = process.cpuUsage();
  const user = new Counter({
    name: 'process_cpu_user_seconds_total',
    help: 'Total user CPU time spent in seconds.',
    registers,
    // The first of the three to be collected sets all of them.
    collect() {
      const now = process.cpuUsage();
      user.inc((now.user - before.user) / MICROSECONDS);
      system.inc((now.system - before.system) / MICROSECONDS);
      both.inc((now.user - before.user + now.system - before.system) / MICROSECONDS);
      before = now;
    },
  });
  const system = new Counter({
    name: 'process_cpu_system_seconds_total',
    help: 'Total system CPU time spent in seconds.',
    registers,
  });
  const both = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Total user and system CPU time spent in seconds.',
    registers,
  });
}

export function observeBuild(observer: Observer): void {
  observer.observe('fulmar_build_info', { version: VERSION, node: process.version }, 1);
}

export function sampleProcess(observer: Observer, memoryShareBytes = Number.POSITIVE_INFINITY): void {
  observer.observe('fulmar_memory_limit_bytes', {}, Math.min(memoryLimitBytes(), memoryShareBytes));
  observer.observe('fulmar_heap_limit_bytes', {}, getHeapStatistics().heap_size_limit);
}

/** Of the container if it has one, else of the machine. */
function memoryLimitBytes(): number {
  const constrained = process.constrainedMemory();
  const machine = totalmem();
  return constrained > 0 ? Math.min(constrained, machine) : machine;
}

/** How full something is that has a bound; `bound` names it with its unit. */
export function observeBound(observer: Observer, bound: string, used: number, limit: number): void {
  observer.observe('fulmar_bound_used', { bound }, used);
  observer.observe('fulmar_bound_limit', { bound }, limit);
}
