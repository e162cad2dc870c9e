{{/* Certificates: where they are and which flags name them. */}}

{{- define "fulmar.internalTlsSecret" -}}
{{- $internal := .Values.tls.internal }}
{{- if eq $internal.mode "existingSecret" }}
{{- required "tls.internal.mode existingSecret needs tls.internal.existingSecret: the name of a secret with tls.crt, tls.key and ca.crt." $internal.existingSecret }}
{{- else }}
{{- include "fulmar.fullname" . }}-internal-tls
{{- end }}
{{- end }}

{{- define "fulmar.clientTlsSecret" -}}
{{- $clients := .Values.tls.clients }}
{{- if eq $clients.mode "existingSecret" }}
{{- required "tls.clients.mode existingSecret needs tls.clients.existingSecret: the name of a secret with tls.crt and tls.key." $clients.existingSecret }}
{{- else }}
{{- include "fulmar.fullname" . }}-client-tls
{{- end }}
{{- end }}

{{/* The name for which every internal certificate is valid; services ask for it whatever address they call. */}}
{{- define "fulmar.internalTlsName" -}}internal.fulmar{{- end }}

{{- define "fulmar.internalTlsArgs" -}}
{{- if ne .Values.tls.internal.mode "none" -}}
- --internal-tls-cert=/etc/fulmar-internal-tls/tls.crt
- --internal-tls-key=/etc/fulmar-internal-tls/tls.key
- --internal-tls-ca=/etc/fulmar-internal-tls/ca.crt
{{- end }}
{{- end }}
