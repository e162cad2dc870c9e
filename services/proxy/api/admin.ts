// fulmar.v1.Admin: every RPC of the service by its name, on plain objects. Unlike the messaging service it speaks with
// gRPC statuses, so a handler that refuses rejects with a FaultError.
import { type ClusterHandlers, clusterHandlers } from './admin-cluster.ts';
import type { AdminDependencies } from './admin-context.ts';
import { type FindingHandlers, findingHandlers } from './admin-finding.ts';
import { type GroupHandlers, groupHandlers } from './admin-groups.ts';
import { type LiteHandlers, liteHandlers } from './admin-lite.ts';
import { type ResetHandlers, resetHandlers } from './admin-reset.ts';
import { type ScheduleHandlers, scheduleHandlers } from './admin-schedules.ts';
import { type TopicHandlers, topicHandlers } from './admin-topics.ts';
import { type TransactionHandlers, transactionHandlers } from './admin-transactions.ts';

export type AdminHandlers = TopicHandlers &
  GroupHandlers &
  LiteHandlers &
  ResetHandlers &
  FindingHandlers &
  TransactionHandlers &
  TransactionHandlers &
  ScheduleHandlers &
  ClusterHandlers;

export function adminService(dependencies: AdminDependencies): AdminHandlers {
  return {
    ...topicHandlers(dependencies),
    ...groupHandlers(dependencies),
    ...liteHandlers(dependencies),
    ...resetHandlers(dependencies),
    ...findingHandlers(dependencies),
    ...transactionHandlers(dependencies),
    ...scheduleHandlers(dependencies),
    ...clusterHandlers(dependencies),
  };
}
