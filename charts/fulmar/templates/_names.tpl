{{/* Names and labels. Selectors have only what never changes: no version, no label of the user. */}}

{{- define "fulmar.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Short enough that the longest name made of it, that of a broker pod, stays below 63 letters. */}}
{{- define "fulmar.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 30 | trimSuffix "-" }}
{{- else if contains (include "fulmar.name" .) .Release.Name }}
{{- .Release.Name | replace "." "-" | trunc 30 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "fulmar.name" .) | replace "." "-" | trunc 30 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "fulmar.clusterName" -}}
{{- default (include "fulmar.fullname" .) .Values.clusterName }}
{{- end }}

{{- define "fulmar.brokerServiceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (printf "%s-broker" (include "fulmar.fullname" .)) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Of everything: with a component if `component` is given. Takes {root, component}. */}}
{{- define "fulmar.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{ include "fulmar.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: {{ include "fulmar.name" .root }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Of pods: without the version of the chart, which changes more often than what runs. */}}
{{- define "fulmar.podLabels" -}}
{{ include "fulmar.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ include "fulmar.name" .root }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "fulmar.selector" -}}
app.kubernetes.io/name: {{ include "fulmar.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- with .set }}
fulmar/set: {{ . }}
{{- end }}
{{- end }}

{{- define "fulmar.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag }}
{{- if eq $tag "latest" }}
{{- fail "image.tag cannot be \"latest\": nobody could tell what runs. Give a version." }}
{{- end }}
{{- .Values.image.repository }}:{{ $tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* Where the NameServers are: one name for all of them. */}}
{{- define "fulmar.nameservers" -}}
{{ include "fulmar.fullname" . }}-nameserver.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:9876
{{- end }}

{{- define "fulmar.proxyEndpoint" -}}
{{ include "fulmar.fullname" . }}-proxy.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:{{ .Values.proxy.service.port }}
{{- end }}

{{/* The flag that the command line needs to talk to the proxies. */}}
{{- define "fulmar.cliTls" -}}
{{- if eq (toString .Values.proxy.config.plaintext) "false" }}--tls-any{{ end }}
{{- end }}

{{- define "fulmar.setNames" -}}
{{- $names := list }}
{{- range .Values.brokers.sets }}{{ $names = append $names .name }}{{ end }}
{{- join "," $names }}
{{- end }}
