{{/* What the pods of all roles have in common. Everything here keeps to the restricted Pod Security Standard. */}}

{{/* Takes {root, role: the values of the role, component, set}. */}}
{{- define "fulmar.podMetadata" -}}
labels:
  {{- include "fulmar.podLabels" . | nindent 2 }}
  {{- with .role.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  checksum/config: {{ .config | sha256sum }}
  {{- if .root.Values.metrics.annotations.enabled }}
  prometheus.io/scrape: "true"
  prometheus.io/port: {{ .httpPort | quote }}
  prometheus.io/path: /metrics
  {{- end }}
  {{- with .role.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "fulmar.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "fulmar.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "fulmar.scheduling" -}}
enableServiceLinks: false
securityContext:
  {{- include "fulmar.podSecurity" . | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .role.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .role.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .role.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .role.affinity }}
affinity:
  {{- toYaml .role.affinity | nindent 2 }}
{{- else if eq .role.antiAffinity "hard" }}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "fulmar.selector" . | nindent 12 }}
{{- else if eq .role.antiAffinity "soft" }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "fulmar.selector" . | nindent 14 }}
{{- end }}
{{- with .role.topologySpread }}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ .topologyKey }}
    maxSkew: {{ default 1 .maxSkew }}
    whenUnsatisfiable: {{ default "ScheduleAnyway" .whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "fulmar.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Startup waits for recovery, liveness asks whether the process still turns, and readiness whether it should get
requests. A start may have `startFailures` failures, 2 s each. */}}
{{- define "fulmar.probes" -}}
startupProbe:
  httpGet: {path: /startupz, port: http}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: {{ .startFailures }}
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  timeoutSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 2
{{- end }}

{{- define "fulmar.volumeMounts" -}}
- {name: config, mountPath: /etc/fulmar, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if ne .root.Values.tls.internal.mode "none" }}
- {name: internal-tls, mountPath: /etc/fulmar-internal-tls, readOnly: true}
{{- end }}
{{- with .role.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "fulmar.volumes" -}}
- name: config
  configMap: {name: {{ .configMap }}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- if ne .root.Values.tls.internal.mode "none" }}
- name: internal-tls
  secret: {secretName: {{ include "fulmar.internalTlsSecret" .root }}, defaultMode: 0440}
{{- end }}
{{- with .role.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
